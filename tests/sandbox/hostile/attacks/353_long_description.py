"""what: Describes itself in a megabyte.
origin: ours
outcome: load_error
reason: description
"""


class Attack(Hostile):
    name = "long_description"

    description = "x" * 1_000_000

    def attack(self, context, given):
        return "loaded"
