"""what: Watches every file of the machine.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "fanotify"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('fanotify_init', 0, 0)}"
