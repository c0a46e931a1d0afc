"""what: Adds up in one C call.
origin: 27
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "long_sum"

    def attack(self, context, given):
        return sum(range(10**12))
