"""what: Raises groups of exceptions within groups.
origin: ours
outcome: error
reason: raised ExceptionGroup
"""


class Attack(Hostile):
    name = "exception_group"

    def attack(self, context, given):
        group = ValueError("x")
        for _ in range(400):
            group = BaseExceptionGroup("x", [group, ValueError("y")])
        raise group
