"""what: Stops its whole process group, siblings included.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "signals_its_group"

    def attack(self, context, given):
        reach("os").kill(0, 19)
        return "ESCAPED: the group was stopped"
