"""what: Describes itself in half a character.
origin: ours
outcome: load_error
reason: '(Unicode|surrogate|description)'
"""


class Attack(Hostile):
    name = "broken_description"

    description = "\ud800"

    def attack(self, context, given):
        return "loaded"
