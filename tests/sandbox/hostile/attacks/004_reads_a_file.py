"""what: Reads a file of the service.
origin: 3
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "reads_a_file"

    def attack(self, context, given):
        return "ESCAPED: " + open(given["file"]).read()
