"""what: Permits with a text.
origin: 39
outcome: error
reason: allowed is a str
"""


class Attack(Hostile):
    name = "allowed_is_text"

    async def evaluate(self, context):
        return PolicyDecision("yes", "ESCAPED")
