"""what: Has C compute a number for minutes, without a look at signals.
origin: 25
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "big_integer"

    def attack(self, context, given):
        return 7 ** (10**8)
