"""what: Loads a kernel module.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "kernel_module"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('init_module', bytes(64), 64, b'')}"
