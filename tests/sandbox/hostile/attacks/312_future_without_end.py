"""what: Waits for a future nobody will ever resolve.
origin: 77
outcome: error
reason: can never happen
"""


class Attack(Hostile):
    name = "future_without_end"

    async def evaluate(self, context):
        await asyncio.get_running_loop().create_future()
