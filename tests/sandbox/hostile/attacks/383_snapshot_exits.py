"""what: Raises SystemExit in snapshot.
origin: ours
outcome: error
reason: raised SystemExit
"""


class Attack(Hostile):
    name = "snapshot_exits"

    def attack(self, context, given):
        return "ESCAPED: a decision without its snapshot"

    def restore(self, state):
        pass

    def snapshot(self):
        raise SystemExit
