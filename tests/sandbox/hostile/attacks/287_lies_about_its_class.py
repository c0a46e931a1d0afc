"""what: Gives an object that says it is a PolicyDecision and raises when looked at.
origin: ours
outcome: error
reason: raised SystemExit
"""


class Liar:
    __class__ = PolicyDecision

    def __getattr__(self, name):
        raise SystemExit(name)


class Attack(Hostile):
    name = "lies_about_its_class"

    async def evaluate(self, context):
        return Liar()
