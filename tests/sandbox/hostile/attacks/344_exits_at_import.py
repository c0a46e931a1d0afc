"""what: Ends its process while it is imported.
origin: ours
outcome: load_error
reason: exit 0
"""

reach("os")._exit(0)


class Attack(Hostile):
    name = "exits_at_import"

    def attack(self, context, given):
        return "loaded"
