"""what: Stops itself with a signal nobody can catch.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "stops_itself"

    def attack(self, context, given):
        os = reach("os")
        os.kill(os.getpid(), 19)
        return "went on"
