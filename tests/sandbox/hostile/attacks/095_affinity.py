"""what: Moves the service and itself to one processor.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "affinity"

    def attack(self, context, given):
        first = bytes([1] + [0] * 7)
        return f"ESCAPED: {[syscall('sched_setaffinity', pid, 8, first) for pid in (given['service_pid'], 0)]}"
