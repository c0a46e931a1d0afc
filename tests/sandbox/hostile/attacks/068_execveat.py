"""what: Becomes the program behind a descriptor.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "execveat"

    def attack(self, context, given):
        syscall("execveat", 0, b"", 0, 0, 0x1000)
        return "ESCAPED: nobody stopped it"
