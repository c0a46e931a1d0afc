"""what: Calls the kernel through its fixed page of old.
origin: ours
outcome: ok
may: the time
reason: '^the time'
"""


class Attack(Hostile):
    name = "vsyscall"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        tell = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(0xFFFFFFFFFF600400)
        return f"the time: {tell(None)}"
