"""what: Lifts the interpreter's limit and writes out a number of a million digits.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "digits"

    def attack(self, context, given):
        typing.sys.set_int_max_str_digits(0)
        return len(str(1 << 20_000_000))
