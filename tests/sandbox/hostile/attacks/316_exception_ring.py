"""what: Raises exceptions that cause each other in a ring.
origin: ours
outcome: error
reason: raised ValueError
"""


class Attack(Hostile):
    name = "exception_ring"

    def attack(self, context, given):
        one, two = ValueError(1), ValueError(2)
        one.__cause__, two.__cause__ = two, one
        raise one
