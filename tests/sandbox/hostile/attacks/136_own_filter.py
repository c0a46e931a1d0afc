"""what: Installs a seccomp filter that hands its calls to a listener.
origin: 13
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "own_filter"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('seccomp', 1, 8, bytes(16))}"
