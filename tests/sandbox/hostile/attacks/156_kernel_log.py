"""what: Reads the kernel's log.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "kernel_log"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('syslog', 10, 0, 0)}"
