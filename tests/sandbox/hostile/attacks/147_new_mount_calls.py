"""what: Mounts by the calls of 2019.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "new_mount_calls"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('fsopen', b'tmpfs', 0)} {syscall('open_tree', -100, b'/', 1)}"
