"""what: Loops while it is made.
origin: ours
outcome: load_error
reason: cpu limit
limits: cpu_limit
"""


class Attack(Hostile):
    name = "spins_in_init"

    def __init__(self):
        while True:
            pass

    def attack(self, context, given):
        return "loaded"
