"""what: Gives a reason that cannot be encoded.
origin: 41
outcome: error
reason: no valid decision
"""


class Attack(Hostile):
    name = "lone_surrogate"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED \ud800")
