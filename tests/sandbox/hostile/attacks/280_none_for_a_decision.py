"""what: Returns nothing.
origin: ours
outcome: error
reason: returned a NoneType
"""


class Attack(Hostile):
    name = "none_for_a_decision"

    async def evaluate(self, context):
        return None
