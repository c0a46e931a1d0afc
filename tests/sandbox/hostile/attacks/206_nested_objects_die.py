"""what: Lets a chain of a million objects die at once.
origin: ours
outcome: ok
reason: '^died in peace'
"""


class Attack(Hostile):
    name = "nested_objects_die"

    def attack(self, context, given):
        nested = None
        for _ in range(300_000):
            nested = (nested,)
        del nested
        return "died in peace"
