"""what: Maps data over the C library and goes on there.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "maps_over_its_code"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        code = ctypes.cast(libc().abs, ctypes.c_void_p).value & ~4_095
        syscall("mmap", code, 4_096, 3, 0x32, -1, 0)
        return f"ESCAPED: {libc().abs(-1)} from memory that is no code"
