"""what: Asks which pages of an open file others have read lately.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "cachestat"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('cachestat', 0, bytes(16), bytes(64), 0)}"
