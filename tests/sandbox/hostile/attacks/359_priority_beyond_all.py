"""what: Wants to come before everybody by a priority of ten million.
origin: ours
outcome: load_error
reason: priority
"""


class Attack(Hostile):
    name = "priority_beyond_all"

    priority = -10_000_000

    def attack(self, context, given):
        return "loaded"
