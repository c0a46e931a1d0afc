"""what: Opens a file by the old open call, past the C library's openat.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "raw_open"

    def attack(self, context, given):
        return f"ESCAPED: descriptor {syscall('open', given['file'].encode(), 0)}"
