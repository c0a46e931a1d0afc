"""what: Has another priority with each look.
origin: ours
outcome: ok
reason: '^loaded'
"""


class Attack(Hostile):
    name = "changes_its_priority"

    looks = 0

    @property
    def priority(self):
        Attack.looks += 1
        return 100 if Attack.looks < 2 else -1_000_000

    def attack(self, context, given):
        return "loaded"
