"""what: Makes written memory executable.
origin: 62
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "mprotect"

    def attack(self, context, given):
        place = syscall("mmap", 0, 4_096, 3, 0x22, -1, 0)
        syscall("mprotect", place, 4_096, 5)
        return f"ESCAPED: {place:#x}"
