"""what: Makes memory executable by the call with protection keys, which filters forget.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "pkey_mprotect"

    def attack(self, context, given):
        place = syscall("mmap", 0, 4_096, 3, 0x22, -1, 0)
        syscall("pkey_mprotect", place, 4_096, 5, -1)
        return f"ESCAPED: {place:#x}"
