"""what: Reads signals from a descriptor.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "signal_descriptor"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('signalfd4', -1, bytes(8), 8, 0)}"
