"""what: Asks for capabilities.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "ambient_capabilities"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 47, 2, 21, 0, 0)} {syscall('capset', bytes(8), bytes(24))}"
