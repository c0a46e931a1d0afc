"""what: Waits in on_load for what can never happen.
origin: 77
outcome: load_error
reason: can never happen
"""


class Attack(Hostile):
    name = "waits_in_on_load"

    async def on_load(self):
        await asyncio.get_running_loop().create_future()

    def attack(self, context, given):
        return "loaded"
