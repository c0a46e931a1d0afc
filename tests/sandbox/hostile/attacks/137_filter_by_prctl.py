"""what: Replaces its filter by the older call.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "filter_by_prctl"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 22, 2, bytes(16), 0, 0)}"
