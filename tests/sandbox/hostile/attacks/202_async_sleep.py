"""what: Sleeps politely.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "async_sleep"

    async def evaluate(self, context):
        await asyncio.sleep(60)
