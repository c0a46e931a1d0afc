"""what: Counts what others do on its processor.
origin: 53
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "perf_events"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('perf_event_open', bytes(128), -1, 0, -1, 0)}"
