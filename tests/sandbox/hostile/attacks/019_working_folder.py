"""what: Changes to another folder, to open paths relative to it.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "working_folder"

    def attack(self, context, given):
        reach("os").chdir(given["folder"])
        return f"ESCAPED: {reach('os').getcwd()}"
