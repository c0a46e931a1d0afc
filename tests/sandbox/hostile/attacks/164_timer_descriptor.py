"""what: Makes timers that fire from the kernel.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "timer_descriptor"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('timerfd_create', 1, 0)}"
