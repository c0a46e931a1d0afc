"""what: Loops in on_load.
origin: 79
outcome: load_error
reason: cpu limit
limits: cpu_limit
"""


class Attack(Hostile):
    name = "spins_in_on_load"

    async def on_load(self):
        while True:
            pass

    def attack(self, context, given):
        return "loaded"
