"""what: Forks while it is imported.
origin: ours
outcome: load_error
reason: PermissionError
"""

if reach("os").fork():
    raise SystemExit("ESCAPED")


class Attack(Hostile):
    name = "forks_at_import"

    def attack(self, context, given):
        return "loaded"
