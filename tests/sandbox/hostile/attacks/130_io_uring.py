"""what: Opens a ring, whose operations pass no filter.
origin: 53
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "io_uring"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('io_uring_setup', 8, bytes(120))}"
