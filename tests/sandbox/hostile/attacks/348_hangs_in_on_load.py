"""what: Hangs in on_load.
origin: 79
outcome: load_error
reason: time limit
limits: timeout
"""


class Attack(Hostile):
    name = "hangs_in_on_load"

    async def on_load(self):
        await asyncio.sleep(60)

    def attack(self, context, given):
        return "loaded"
