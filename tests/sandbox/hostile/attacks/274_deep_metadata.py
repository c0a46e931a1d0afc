"""what: Nests metadata 900 deep.
origin: 44
outcome: error
reason: nested deeper
"""

import functools


class Attack(Hostile):
    name = "deep_metadata"

    async def evaluate(self, context):
        return PolicyDecision(True, "ESCAPED", functools.reduce(lambda inner, _: {"a": inner}, range(900), {}))
