"""what: Opens its own memory as a file, to write where mprotect does not let it.
origin: 7
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "proc_mem"

    def attack(self, context, given):
        return f"ESCAPED: {open('/proc/self/mem', 'r+b', buffering=0)}"
