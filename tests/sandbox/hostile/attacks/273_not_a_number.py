"""what: Puts NaN into metadata.
origin: 41
outcome: error
reason: no valid decision
"""


class Attack(Hostile):
    name = "not_a_number"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", {"a": float("nan")})
