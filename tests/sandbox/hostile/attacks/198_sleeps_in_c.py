"""what: Sleeps in C, without Python's hand on it.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "sleeps_in_c"

    def attack(self, context, given):
        return libc().sleep(60)
