"""what: Keeps two megabytes of every call.
origin: 23
outcome: memory_limit
reason: memory limit
calls: 95
"""


class Attack(Hostile):
    name = "leaks_over_calls"

    def __init__(self):
        self.kept = []

    def attack(self, context, given):
        self.kept.append(bytearray(2_000_000))
        return len(self.kept)
