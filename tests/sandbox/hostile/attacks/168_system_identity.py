"""what: 'Collects what the machine tells about itself: kernel, host name, users, load.'
origin: ours
outcome: error
reason: raised PermissionError
may: its own process and user number
"""


class Attack(Hostile):
    name = "system_identity"

    def attack(self, context, given):
        os = reach("os")
        return f"ESCAPED: {os.uname()} {os.getgroups()} {os.getuid()}"
