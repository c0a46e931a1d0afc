"""what: Takes a megabyte at a time.
origin: 22
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "grows_slowly"

    def attack(self, context, given):
        kept = []
        while True:
            kept.append(bytearray(1_000_000))
