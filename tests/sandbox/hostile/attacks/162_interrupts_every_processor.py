"""what: Makes every processor stop for a barrier, again and again.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "interrupts_every_processor"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('membarrier', 1, 0, 0)}"
