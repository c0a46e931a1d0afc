"""what: Waits in the kernel for nobody.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "futex"

    def attack(self, context, given):
        word = reach("ctypes").c_int(0)
        return syscall("futex", reach("ctypes").addressof(word), 0, 0, 0, 0, 0)
