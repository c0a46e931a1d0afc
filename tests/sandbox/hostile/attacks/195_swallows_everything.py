"""what: Catches whatever is raised and goes on.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "swallows_everything"

    def attack(self, context, given):
        while True:
            try:
                while True:
                    pass
            except BaseException:
                continue
