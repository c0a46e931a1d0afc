"""what: Unmaps the interpreter.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "unmaps_itself"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        place = ctypes.cast(ctypes.pythonapi.PyObject_Repr, ctypes.c_void_p).value & ~4_095
        libc().munmap(ctypes.c_void_p(place), ctypes.c_size_t(1 << 16))
        return repr(object())
