"""what: Runs an event loop of its own, with descriptors and a thread pool.
origin: ours
outcome: error
reason: raised
"""


class Attack(Hostile):
    name = "loop_within_loop"

    async def evaluate(self, context):
        asyncio._set_running_loop(None)
        asyncio.run(asyncio.sleep(0))
        return PolicyDecision(True, "ESCAPED: a loop with descriptors")
