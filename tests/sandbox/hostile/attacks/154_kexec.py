"""what: Boots another kernel.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "kexec"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('kexec_load', 0, 0, 0, 0)}"
