"""what: Asks to gain privileges again.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "new_privileges"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 38, 0, 0, 0, 0)}"
