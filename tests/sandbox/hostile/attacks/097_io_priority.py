"""what: Raises its disk priority.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "io_priority"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('ioprio_set', 1, 0, 0x2000)}"
