"""what: Becomes another program.
origin: 12
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "execve"

    def attack(self, context, given):
        syscall("execve", b"/bin/true", 0, 0)
        return "ESCAPED: nobody stopped it"
