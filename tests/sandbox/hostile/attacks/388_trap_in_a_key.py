"""what: Has a key of its metadata loop when it is written out.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Key:
    def __repr__(self):
        while True:
            pass


class Attack(Hostile):
    name = "trap_in_a_key"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", {Key(): 1})
