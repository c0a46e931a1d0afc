"""what: Takes os._exit away, so that the worker does not end at its memory limit.
origin: ours
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "exits_are_patched"

    def attack(self, context, given):
        reach("os")._exit = lambda code: None
        return len(bytearray(1 << 30))
