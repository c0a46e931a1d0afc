"""what: Overwrites the interpreter's cached integers.
origin: 73
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "small_integers"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        for number in range(2, 257):
            ctypes.memset(id(number) + 24, 1, 1)
        return "patched"
