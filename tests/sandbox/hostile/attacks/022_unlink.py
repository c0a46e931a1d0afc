"""what: Removes the service's file.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "unlink"

    def attack(self, context, given):
        reach("os").unlink(given["file"])
        return "ESCAPED: removed"
