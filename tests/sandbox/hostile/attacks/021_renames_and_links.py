"""what: Makes links and moves files about, which needs no open file.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "renames_and_links"

    def attack(self, context, given):
        reach("os").symlink(given["file"], given["folder"] + "/link")
        return "ESCAPED: a link the service may follow"
