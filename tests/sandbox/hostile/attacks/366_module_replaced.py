"""what: Replaces itself in sys.modules while it is imported.
origin: ours
outcome: ok
reason: '^loaded'
"""

typing.sys.modules[__name__] = None


class Attack(Hostile):
    name = "module_replaced"

    def attack(self, context, given):
        return "loaded"
