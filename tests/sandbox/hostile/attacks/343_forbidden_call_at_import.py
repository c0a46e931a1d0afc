"""what: Makes a forbidden call while it is imported.
origin: ours
outcome: load_error
reason: SIGSYS
"""

syscall("ptrace", 0, 0, 0)


class Attack(Hostile):
    name = "forbidden_call_at_import"

    def attack(self, context, given):
        return "loaded"
