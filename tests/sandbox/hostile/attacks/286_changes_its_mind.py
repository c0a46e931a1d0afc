"""what: Gives a decision whose `allowed` changes with each look.
origin: ours
outcome: ok
reason: '^fickle'
"""


class Fickle(PolicyDecision):
    looks = 0

    def __init__(self):
        pass

    @property
    def allowed(self):
        Fickle.looks += 1
        return Fickle.looks > 1

    reason = "fickle"
    metadata = {}


class Attack(Hostile):
    name = "changes_its_mind"

    async def evaluate(self, context):
        return Fickle()
