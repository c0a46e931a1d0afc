"""what: Makes itself traceable and names a tracer.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "dumpable"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('prctl', 4, 1, 0, 0, 0)} {syscall('prctl', 0x59616D61, -1, 0, 0, 0)}"
