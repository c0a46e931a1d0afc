"""what: Gives way for ever, without a timer.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "yields_forever"

    async def evaluate(self, context):
        while True:
            await asyncio.sleep(0)
