"""what: Moves the marks of its own memory map.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "memory_map_by_prctl"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 35, 1, 0x7000, 0, 0)}"
