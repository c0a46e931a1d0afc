"""what: Prints ten megabytes.
origin: 32
outcome: ok
reason: '^printed'
"""


class Attack(Hostile):
    name = "prints_without_end"

    def attack(self, context, given):
        for _ in range(1_000):
            print("ESC" * 3_500)
        return "printed"
