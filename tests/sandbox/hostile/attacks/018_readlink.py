"""what: Reads where the interpreter and the working folder lie.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "readlink"

    def attack(self, context, given):
        return f"ESCAPED: {reach('os').readlink('/proc/self/exe')} {reach('os').readlink('/proc/self/cwd')}"
