"""what: Has the kernel keep accounts in a file.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "accounting"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('acct', 0)}"
