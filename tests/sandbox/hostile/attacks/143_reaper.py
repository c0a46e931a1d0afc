"""what: Becomes the one orphans are handed to, and hides behind another name.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "reaper"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 15, b'sshd', 0, 0, 0)} {syscall('prctl', 36, 1, 0, 0, 0)}"
