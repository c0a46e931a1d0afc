"""what: Writes into a folder everybody may write to.
origin: 4
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "writes_a_file"

    def attack(self, context, given):
        with open(given["folder"] + "/written", "w") as file:
            file.write("ESCAPED")
        return "ESCAPED: wrote"
