"""what: Changes the root folder.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "pivot_root"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('pivot_root', b'/', b'/')}"
