"""what: Makes tasks that make tasks.
origin: ours
outcome: [memory_limit, crashed]
reason: '(memory limit|SIGSEGV)'
"""


class Attack(Hostile):
    name = "task_bomb"

    async def evaluate(self, context):
        async def more():
            while True:
                tasks.append(asyncio.ensure_future(more()))
                await asyncio.sleep(0)

        tasks = []
        await more()
