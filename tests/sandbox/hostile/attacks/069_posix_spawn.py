"""what: Starts a program by posix_spawn.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "posix_spawn"

    def attack(self, context, given):
        return f"ESCAPED: process {reach('os').posix_spawn('/bin/true', ['true'], {})}"
