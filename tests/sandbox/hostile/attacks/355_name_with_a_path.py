"""what: Is called ../neighbour.
origin: ours
outcome: load_error
reason: name
"""


class Attack(Hostile):
    name = "name_with_a_path"

    name = "../neighbour\x00"

    def attack(self, context, given):
        return "loaded"
