"""what: Takes the worker's own call object and grants itself the rate window.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "grants_itself"

    async def evaluate(self, context):
        calls = worker()._calls
        granted = type(context.host)(calls, ("rate_window",))
        hit = await granted.rate_window.hit("key", limit=10, window_seconds=60)
        return PolicyDecision(True, f"ESCAPED: {hit}")
