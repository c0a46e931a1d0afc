"""what: Uses the rate window it was not granted.
origin: ours
outcome: error
reason: not_granted
"""


class Attack(Hostile):
    name = "asks_politely"

    async def evaluate(self, context):
        await context.host.rate_window.hit("key", limit=10, window_seconds=60)
