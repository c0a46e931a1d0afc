"""what: Permits with 1.
origin: 40
outcome: error
reason: allowed is a int
"""


class Attack(Hostile):
    name = "allowed_is_one"

    async def evaluate(self, context):
        return PolicyDecision(1, "ESCAPED")
