"""what: Puts an integer of a thousand digits into metadata.
origin: ours
outcome: error
reason: no valid decision
"""


class Attack(Hostile):
    name = "huge_integer"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", {"a": 10**1000})
