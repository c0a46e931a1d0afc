"""what: Makes a process that is root in a user namespace of its own.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "clone_with_namespaces"

    def attack(self, context, given):
        return f"ESCAPED: process {syscall('clone', 0x10000000 | 17, 0, 0, 0, 0)}"
