"""what: Locks its memory, so that others swap.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "locks_memory"

    def attack(self, context, given):
        must(libc().mlockall(3))
        return "ESCAPED: locked"
