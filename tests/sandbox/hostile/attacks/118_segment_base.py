"""what: Moves its segment registers to address kernel memory.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "segment_base"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('arch_prctl', 0x1001, 0x7000)}"
