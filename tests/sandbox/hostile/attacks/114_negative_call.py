"""what: 'Calls numbers no table has: -1, which tracers use to skip a call, and others.'
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "negative_call"

    def attack(self, context, given):
        return f"ESCAPED: {[syscall(number) for number in (-1, 0xFFFFFFFF, 1 << 31, 4_096)]}"
