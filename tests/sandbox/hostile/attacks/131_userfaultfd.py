"""what: Handles its own page faults, to stop the kernel where it wants to.
origin: 53
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "userfaultfd"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('userfaultfd', 1)}"
