"""what: Signals every process it may.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "signals_everybody"

    def attack(self, context, given):
        reach("os").kill(-1, 18)
        return "ESCAPED: somebody was there"
