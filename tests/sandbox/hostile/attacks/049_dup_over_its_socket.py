"""what: Puts the null device in its connection's place.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "dup_over_its_socket"

    def attack(self, context, given):
        reach("os").dup2(0, 3)
        return "ESCAPED: its connection is another one"
