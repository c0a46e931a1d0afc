"""what: Opens a file by openat2, which lists of forbidden calls tend to miss.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "openat2"

    def attack(self, context, given):
        how = bytes(24)
        return f"ESCAPED: descriptor {syscall('openat2', -100, given['file'].encode(), how, 24)}"
