"""what: Makes a file in memory, to run it or to map it twice.
origin: 60
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "memfd"

    def attack(self, context, given):
        return f"ESCAPED: {reach('os').memfd_create('x')}"
