"""what: Raises in itself the signal that means a forbidden call.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "fake_fatal_signal"

    def attack(self, context, given):
        reach("os").kill(reach("os").getpid(), 31)
        return "went on"
