"""what: Leaves a task behind that refuses to be cancelled.
origin: 76
outcome: cpu_limit
reason: cpu limit
limits: cpu_limit
"""


class Attack(Hostile):
    name = "task_left_behind"

    ran = 0

    async def evaluate(self, context):
        if context.principal_id == "after":
            return PolicyDecision(True, "ESCAPED: it ran on" if self.ran > 1 else "as before")

        async def more():
            while True:
                self.ran += 1
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    continue

        asyncio.ensure_future(more())
        await asyncio.sleep(0)
        return PolicyDecision(True, "left")
