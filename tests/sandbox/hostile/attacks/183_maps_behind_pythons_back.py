"""what: Maps memory by C, shared, locked and with every page touched at once.
origin: ours
outcome: error
reason: raised OSError
"""


class Attack(Hostile):
    name = "maps_behind_pythons_back"

    def attack(self, context, given):
        for flags in (0x21 | 0x8000, 0x22 | 0x2000, 0x22 | 0x100):
            place = syscall("mmap", 0, 1 << 30, 3, flags, -1, 0)
            return f"ESCAPED: a gigabyte at {place:#x}"
