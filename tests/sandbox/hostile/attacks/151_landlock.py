"""what: Adds a Landlock domain of its own, to crowd out the host's.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "landlock"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('landlock_create_ruleset', 0, 0, 1)}"
