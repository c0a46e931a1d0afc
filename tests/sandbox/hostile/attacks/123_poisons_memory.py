"""what: Tells the kernel that a page of memory is broken.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "poisons_memory"

    def attack(self, context, given):
        place = syscall("mmap", 0, 4_096, 3, 0x22, -1, 0)
        ctypes = reach("ctypes")
        for advice in (100, 101, 9):
            must(libc().madvise(ctypes.c_void_p(place), ctypes.c_size_t(4_096), advice))
        return "ESCAPED: took memory away from the machine"
