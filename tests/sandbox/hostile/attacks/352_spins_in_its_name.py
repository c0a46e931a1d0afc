"""what: Loops when asked for its description.
origin: ours
outcome: load_error
reason: cpu limit
limits: cpu_limit
"""


class Attack(Hostile):
    name = "spins_in_its_name"

    @property
    def description(self):
        while True:
            pass

    def attack(self, context, given):
        return "loaded"
