"""what: Looks for the service's environment in Python, in C and up the process's stack.
origin: 6
outcome: ok
reason: '^nothing'
"""


class Attack(Hostile):
    name = "environment"

    def attack(self, context, given):
        os, ctypes = reach("os"), reach("ctypes")
        found = [dict(os.environ), dict(os.environb), dict(reach("posix").environ)]
        if any(found):
            return f"ESCAPED: {found}"
        block = ctypes.c_void_p.in_dll(libc(), "__libc_stack_end").value
        # Arguments, environment and auxiliary vector lie above the first frame; 8 KiB of it is mapped for sure.
        above = ctypes.string_at(block, 4_096 - block % 4_096)
        environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc(), "environ")
        strings = [] if not environ else [text for text in iter(lambda n=iter(range(9_999)): environ[next(n)], None)]
        if strings or given["variable"].encode() in above:
            return f"ESCAPED: {strings}"
        return "nothing"
