"""what: Has every readable page become executable by its personality.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "read_implies_exec"

    def attack(self, context, given):
        syscall("personality", 0x0400000)
        return f"ESCAPED: {syscall('mmap', 0, 4_096, 3, 0x22, -1, 0):#x}"
