"""what: Becomes root in a new user namespace.
origin: 15
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "unshare"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('unshare', 0x10000000)}"
