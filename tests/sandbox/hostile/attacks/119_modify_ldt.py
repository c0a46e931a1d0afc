"""what: Writes a descriptor table of its own.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "modify_ldt"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('modify_ldt', 1, bytes(16), 16)}"
