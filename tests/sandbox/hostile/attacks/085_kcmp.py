"""what: Compares kernel objects of two processes, to learn their addresses.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "kcmp"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('kcmp', given['peer_pid'], given['zygote_pid'], 1, 0, 0)}"
