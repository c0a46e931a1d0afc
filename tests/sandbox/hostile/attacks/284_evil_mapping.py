"""what: Gives a subclass of dict whose items never end.
origin: ours
outcome: error
reason: metadata is a Mapping
"""


class Mapping(dict):
    def items(self):
        while True:
            yield "a", 1

    def __bool__(self):
        return True


class Attack(Hostile):
    name = "evil_mapping"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", Mapping())
