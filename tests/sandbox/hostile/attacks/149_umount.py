"""what: Unmounts what hides the machine's files.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "umount"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('umount2', b'/', 2)}"
