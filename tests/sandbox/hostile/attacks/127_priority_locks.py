"""what: Uses the kernel's priority-inheriting locks, a source of its worst holes.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "priority_locks"

    def attack(self, context, given):
        word = reach("ctypes").c_int(0)
        return f"ESCAPED: {syscall('futex', reach('ctypes').addressof(word), 6, 0, 0, 0, 0)}"
