"""what: Lists mounts without /proc.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "lists_mounts"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('listmount', bytes(24), bytes(64), 8, 0)}"
