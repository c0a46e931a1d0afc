"""what: Loops.
origin: 24
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "python_loop"

    def attack(self, context, given):
        while True:
            pass
