"""what: Writes to all descriptors it has.
origin: 33
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "writes_to_every_descriptor"

    def attack(self, context, given):
        for number in range(4):
            reach("os").write(number, b"x")
        return "ESCAPED: wrote"
