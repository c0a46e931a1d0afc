"""what: Asks on which node another process's pages lie.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "move_pages"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('move_pages', given['peer_pid'], 0, 0, 0, 0, 0)}"
