"""what: Starts a thread by the C library, with a function of that library for its body.
origin: ours
outcome: ok
reason: '^refused'
"""


class Attack(Hostile):
    name = "raw_thread"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        thread = ctypes.c_ulong()
        body = ctypes.cast(libc().pause, ctypes.c_void_p)
        number = libc().pthread_create(ctypes.byref(thread), None, body, None)
        return f"refused: {number}" if number else "ESCAPED: a thread runs"
