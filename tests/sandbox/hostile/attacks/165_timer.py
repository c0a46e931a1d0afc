"""what: Makes a timer that sends signals.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "timer"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('timer_create', 1, 0, bytes(8))}"
