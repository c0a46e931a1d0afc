"""what: Mounts a file system.
origin: 16
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "mount"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('mount', b'proc', b'/', b'proc', 0, 0)}"
