"""what: Calls open by its number in the x32 table.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "x32"

    def attack(self, context, given):
        return f"ESCAPED: {syscall(0x40000000 | 2, given['file'].encode(), 0)}"
