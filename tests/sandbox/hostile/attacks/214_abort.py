"""what: Aborts.
origin: ours
outcome: crashed
reason: crashed
"""


class Attack(Hostile):
    name = "abort"

    def attack(self, context, given):
        reach("os").abort()
