"""what: Returns True.
origin: ours
outcome: error
reason: returned a bool
"""


class Attack(Hostile):
    name = "true_for_a_decision"

    async def evaluate(self, context):
        return True
