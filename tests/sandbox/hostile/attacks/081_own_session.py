"""what: Leaves its session and process group.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "own_session"

    def attack(self, context, given):
        return f"ESCAPED: session {syscall('setsid')}"
