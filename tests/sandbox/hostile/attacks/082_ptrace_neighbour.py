"""what: Attaches to another plugin.
origin: 49
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "ptrace_neighbour"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('ptrace', 0x4206, given['peer_pid'], 0, 0)}"
