"""what: Raises SystemExit when asked for its version.
origin: ours
outcome: load_error
reason: SystemExit
"""


class Attack(Hostile):
    name = "raises_in_its_version"

    @property
    def version(self):
        raise SystemExit("ESCAPED"[::-1])

    def attack(self, context, given):
        return "loaded"
