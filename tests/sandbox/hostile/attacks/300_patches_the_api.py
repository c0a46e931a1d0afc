"""what: Patches PolicyDecision, builtins and the worker's modules for everybody.
origin: 73
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "patches_the_api"

    def attack(self, context, given):
        import builtins

        builtins.len = lambda _: 0
        builtins.isinstance = lambda *_: True
        PolicyDecision.allowed = True
        PolicyPlugin.evaluate = None
        return "patched"
