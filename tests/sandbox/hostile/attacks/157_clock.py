"""what: Asks how the machine's clock is adjusted, by the call that can adjust it.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "clock"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('adjtimex', bytes(208))}"
