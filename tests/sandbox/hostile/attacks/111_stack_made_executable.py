"""what: Makes the stack executable, as the loader does for libraries that ask for it.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "stack_made_executable"

    def attack(self, context, given):
        end = reach("ctypes").c_void_p.in_dll(libc(), "__libc_stack_end").value & ~4_095
        syscall("mprotect", end, 4_096, 7 | 0x01000000)
        return "ESCAPED: the stack is executable"
