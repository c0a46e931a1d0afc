"""what: Swaps the worker's encoder, so that every answer permits.
origin: ours
outcome: ok
reason: '^its own word'
"""


class Attack(Hostile):
    name = "swaps_the_encoder"

    def attack(self, context, given):
        module = reach("sark_opa.sandbox.protocol")
        encode = module.encode
        module.encode = lambda reply: encode(type(reply)(reply.id, "ok", True, "its own word", {}, ""))
        raise ValueError("turned into permission by its own encoder: it could have permitted outright")
