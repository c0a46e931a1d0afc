"""what: Gives a value whose class has a trap for a name.
origin: ours
outcome: error
reason: raised SystemExit
"""


class Meta(type):
    @property
    def __name__(cls):
        raise SystemExit("ESC")


class Value(metaclass=Meta):
    pass


class Attack(Hostile):
    name = "trap_in_a_class_name"

    async def evaluate(self, context):
        return PolicyDecision(True, Value())
