"""what: Forks while the C library sorts, from a Python callback.
origin: ours
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "fork_from_a_callback"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        seen = []

        def compare(one, two):
            try:
                seen.append(f"ESCAPED: process {reach('os').fork()}")
            except OSError as error:
                seen.append(error)
            return 0

        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(compare)
        libc().qsort(ctypes.create_string_buffer(8), 2, 4, callback)
        if isinstance(seen[0], OSError):
            raise seen[0]
        return seen[0]
