"""what: Takes the worker's checks away and sends what they stop.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "no_more_checks"

    async def evaluate(self, context):
        module = reach("sark_opa.sandbox.protocol")
        module.check_answer = lambda answer: None
        return PolicyDecision(True, "ESCAPED" * 1_000)
