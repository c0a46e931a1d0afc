"""what: Takes its own system calls in hand before any filter sees them.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "syscall_dispatch"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 59, 1, 0, 1 << 46, 0)}"
