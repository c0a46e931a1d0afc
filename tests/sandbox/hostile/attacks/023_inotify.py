"""what: Watches what others do with their files.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "inotify"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('inotify_init1', 0)}"
