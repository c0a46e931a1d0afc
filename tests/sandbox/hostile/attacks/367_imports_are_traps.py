"""what: Leaves traps in the module table for whoever imports next.
origin: ours
outcome: ok
reason: '^loaded'
"""


class Trap:
    def __getattr__(self, name):
        raise SystemExit(name)


for module in ("traceback", "io", "sark_opa.sandbox.protocol", "msgspec"):
    typing.sys.modules[module] = Trap()


class Attack(Hostile):
    name = "imports_are_traps"

    def attack(self, context, given):
        return "loaded"
