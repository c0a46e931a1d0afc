"""what: Reads resource counters of its process.
origin: ours
outcome: error
may: its own resource use
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "resource_use"

    def attack(self, context, given):
        return f"its own: {reach('resource').getrusage(0).ru_maxrss}"
