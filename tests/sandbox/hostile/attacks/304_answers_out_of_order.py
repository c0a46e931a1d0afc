"""what: Has the worker number its answers one ahead.
origin: ours
outcome: violation
reason: nobody asked for
"""


class Attack(Hostile):
    name = "answers_out_of_order"

    async def evaluate(self, context):
        module = reach("sark_opa.sandbox.protocol")
        encode = module.encode
        module.encode = lambda reply: encode(type(reply)(reply.id + 1, "ok", True, "ESCAPED", {}, ""))
        return PolicyDecision(True, "ESCAPED")
