"""what: Gives a snapshot of a megabyte.
origin: ours
outcome: error
reason: snapshot
"""


class Attack(Hostile):
    name = "large_snapshot"

    def attack(self, context, given):
        return "ESCAPED: a decision without its snapshot"

    def restore(self, state):
        pass

    def snapshot(self):
        return "x" * 1_000_000
