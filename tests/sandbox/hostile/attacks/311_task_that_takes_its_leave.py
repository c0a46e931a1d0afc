"""what: Leaves behind a task that is cancelled in peace, and one that waits for ever.
origin: 76
outcome: ok
reason: '^left'
then: ok
"""


class Attack(Hostile):
    name = "task_that_takes_its_leave"

    ran = 0

    async def evaluate(self, context):
        if context.principal_id == "after":
            return PolicyDecision(True, "ESCAPED: it ran on" if self.ran > 1 else "as before")

        async def more():
            while True:
                self.ran += 1
                await asyncio.sleep(0)

        self.kept = [asyncio.ensure_future(more()), asyncio.ensure_future(asyncio.Event().wait())]
        await asyncio.sleep(0)
        return PolicyDecision(True, "left")
