"""what: Forks.
origin: 17
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "fork"

    def attack(self, context, given):
        pid = reach("os").fork()
        if pid == 0:
            reach("os")._exit(0)
        return f"ESCAPED: process {pid}"
