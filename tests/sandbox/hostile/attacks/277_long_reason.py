"""what: Gives a reason of two KiB.
origin: ours
outcome: error
reason: reason takes
"""


class Attack(Hostile):
    name = "long_reason"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED" + "x" * 2_048)
