"""what: Uses keys that are no text.
origin: ours
outcome: error
reason: no valid decision
"""


class Attack(Hostile):
    name = "numbers_for_keys"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", {1: 2, (3,): None})
