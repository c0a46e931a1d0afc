"""what: Asks for a file's size and owner, which Landlock does not stop.
origin: 9
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "stat"

    def attack(self, context, given):
        return f"ESCAPED: {reach('os').stat(given['file'])}"
