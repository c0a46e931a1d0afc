"""what: Fills a dictionary with keys of one hash.
origin: 81
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "hash_flood"

    def attack(self, context, given):
        return len({number * (2**61 - 1): None for number in range(1, 200_000)})
