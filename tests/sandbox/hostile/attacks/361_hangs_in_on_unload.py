"""what: Hangs in on_unload.
origin: 79
outcome: ok
reason: '^loaded'
"""


class Attack(Hostile):
    name = "hangs_in_on_unload"

    async def on_unload(self):
        await asyncio.sleep(60)

    def attack(self, context, given):
        return "loaded"
