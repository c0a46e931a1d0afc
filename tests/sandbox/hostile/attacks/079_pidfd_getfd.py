"""what: Takes a descriptor out of the service.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "pidfd_getfd"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('pidfd_getfd', 3, 3, 0)}"
