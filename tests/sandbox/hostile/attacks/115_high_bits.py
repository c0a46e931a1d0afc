"""what: Hides a call's number and arguments in the upper half of their registers.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "high_bits"

    def attack(self, context, given):
        # The kernel takes the lower half of a socket's family alone, a filter compares all 64 bits.
        return f"ESCAPED: {syscall((1 << 32) | 41, (1 << 32) | 1, 1, 0)}"
