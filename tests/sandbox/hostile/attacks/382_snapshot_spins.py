"""what: Loops in snapshot.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "snapshot_spins"

    def attack(self, context, given):
        return "ESCAPED: a decision without its snapshot"

    def restore(self, state):
        pass

    def snapshot(self):
        while True:
            pass
