"""what: Climbs out of a root folder with a second chroot.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "chroot"

    def attack(self, context, given):
        syscall("chroot", b"/tmp")
        return "ESCAPED: has a root of its own"
