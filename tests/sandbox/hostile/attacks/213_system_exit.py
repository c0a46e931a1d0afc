"""what: Raises SystemExit.
origin: 72
outcome: error
reason: raised SystemExit
"""


class Attack(Hostile):
    name = "system_exit"

    def attack(self, context, given):
        raise SystemExit(0)
