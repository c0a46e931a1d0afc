"""what: Loops in on_unload.
origin: ours
outcome: ok
reason: '^loaded'
"""


class Attack(Hostile):
    name = "spins_in_on_unload"

    async def on_unload(self):
        while True:
            pass

    def attack(self, context, given):
        return "loaded"
