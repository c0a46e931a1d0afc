"""what: Asks for the machine's ports.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "io_ports"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('iopl', 3)} {syscall('ioperm', 0, 1, 1)}"
