"""what: Moves bytes between descriptors inside the kernel.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "splice"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('splice', 3, 0, 3, 0, 1, 0)}"
