"""what: Stops the clock the worker and its loop read.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "clock_stands_still"

    async def evaluate(self, context):
        time.monotonic = time.time = lambda: 0.0
        worker()._loop.time = lambda: 0.0
        await asyncio.sleep(60)
