"""what: Asks str.format for a text of two gigabytes.
origin: ours
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "formats_width"

    def attack(self, context, given):
        return len("{:>{}}".format("x", 2_000_000_000))
