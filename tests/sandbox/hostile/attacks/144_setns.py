"""what: Enters the namespaces of another.
origin: 14
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "setns"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('setns', 3, 0)}"
