"""what: Offers its pages to be merged with equal ones of others, whose contents the timing of a write then tells.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "page_merging"

    def attack(self, context, given):
        place = syscall("mmap", 0, 4_096, 3, 0x22, -1, 0)
        ctypes = reach("ctypes")
        must(libc().madvise(ctypes.c_void_p(place), ctypes.c_size_t(4_096), 12))
        return "ESCAPED: shares pages with its neighbours"
