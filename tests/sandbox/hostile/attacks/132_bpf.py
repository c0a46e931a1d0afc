"""what: Loads a program into the kernel.
origin: 53
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "bpf"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('bpf', 0, bytes(128), 128)}"
