"""what: Raises an exception at the end of a chain of a hundred thousand.
origin: ours
outcome: cpu_limit
limits: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "exception_chain"

    def attack(self, context, given):
        error = ValueError("first")
        for number in range(100_000):
            inner = ValueError(number)
            inner.__cause__ = error
            error = inner
        raise error
