"""what: Loops while it is imported.
origin: 79
outcome: load_error
reason: cpu limit
limits: cpu_limit
"""

while True:
    pass


class Attack(Hostile):
    name = "loops_at_import"

    def attack(self, context, given):
        return "loaded"
