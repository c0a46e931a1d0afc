"""what: Forks by the oldest of the calls.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "vfork"

    def attack(self, context, given):
        return f"ESCAPED: process {syscall('vfork')}"
