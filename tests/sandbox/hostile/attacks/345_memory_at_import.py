"""what: Uses its memory up while it is imported.
origin: ours
outcome: load_error
reason: '(memory limit|MemoryError)'
"""

kept = bytearray(1 << 30)


class Attack(Hostile):
    name = "memory_at_import"

    def attack(self, context, given):
        return "loaded"
