"""what: Asks for a real-time priority.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "realtime"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('sched_setscheduler', 0, 1, (1).to_bytes(4, 'little'))}"
