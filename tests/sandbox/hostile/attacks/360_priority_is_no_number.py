"""what: Gives a priority that compares as it likes.
origin: ours
outcome: load_error
reason: TypeError
"""


class Always(int):
    def __lt__(self, other):
        return True


class Attack(Hostile):
    name = "priority_is_no_number"

    priority = Always()

    def attack(self, context, given):
        return "loaded"
