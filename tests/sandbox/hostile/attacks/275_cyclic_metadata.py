"""what: Gives metadata that hold themselves.
origin: ours
outcome: error
reason: nested deeper
"""


class Attack(Hostile):
    name = "cyclic_metadata"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", (lambda d: d.update(a=d) or d)({}))
