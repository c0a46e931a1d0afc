"""what: Says it is loaded before it is, under another plugin's name.
origin: ours
outcome: load_error
reason: '(a plugin named neighbour|right after loading|exit 0)'
"""

send(frame("loaded", 1, "neighbour", "1.0.0", "", -1_000_000))
reach("os")._exit(0)


class Attack(Hostile):
    name = "says_it_is_loaded"

    def attack(self, context, given):
        return "loaded"
