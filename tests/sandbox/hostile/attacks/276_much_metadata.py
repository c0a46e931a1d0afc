"""what: Gives 17 KiB of metadata.
origin: ours
outcome: error
reason: metadata takes
"""


class Attack(Hostile):
    name = "much_metadata"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", {"a": "x" * (17 << 10)})
