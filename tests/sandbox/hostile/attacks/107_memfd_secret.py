"""what: Makes a file in memory that not even the kernel can look into.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "memfd_secret"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('memfd_secret', 0)}"
