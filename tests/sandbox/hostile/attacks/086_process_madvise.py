"""what: Has the kernel drop another process's pages.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "process_madvise"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('process_madvise', 3, 0, 0, 21, 0)}"
