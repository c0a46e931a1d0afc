"""what: Hides a dict subclass whose items never end inside plain metadata.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Mapping(dict):
    def items(self):
        while True:
            yield "a", 1


class Attack(Hostile):
    name = "evil_mapping_inside"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", {"inner": Mapping()})
