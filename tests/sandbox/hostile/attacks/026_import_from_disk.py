"""what: Gives itself back a module finder and imports what lies on the disk.
origin: 74
outcome: error
reason: 'raised (PermissionError|ModuleNotFoundError|FileNotFoundError)'
"""


class Attack(Hostile):
    name = "import_from_disk"

    def attack(self, context, given):
        machinery = reach("importlib.machinery")
        loader = machinery.SourceFileLoader("stolen", given["file"])
        return f"ESCAPED: {loader.get_data(given['file'])!r}"
