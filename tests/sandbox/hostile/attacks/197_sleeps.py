"""what: Sleeps.
origin: 30
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "sleeps"

    def attack(self, context, given):
        time.sleep(60)
