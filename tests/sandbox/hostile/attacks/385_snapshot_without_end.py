"""what: Gives a snapshot that holds itself.
origin: ours
outcome: error
reason: snapshot
"""


class Attack(Hostile):
    name = "snapshot_without_end"

    def attack(self, context, given):
        return "ESCAPED: a decision without its snapshot"

    def restore(self, state):
        pass

    def snapshot(self):
        nested = []
        nested.append(nested)
        return nested
