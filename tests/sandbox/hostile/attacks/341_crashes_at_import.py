"""what: Crashes while it is imported.
origin: 79
outcome: load_error
reason: SIGSEGV
"""

reach("ctypes").string_at(0)


class Attack(Hostile):
    name = "crashes_at_import"

    def attack(self, context, given):
        return "loaded"
