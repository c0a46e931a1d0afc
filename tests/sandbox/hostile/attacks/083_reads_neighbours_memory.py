"""what: Reads another plugin's memory, laid out like its own.
origin: 49
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "reads_neighbours_memory"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        here = ctypes.create_string_buffer(64)
        local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 64)
        remote = (ctypes.c_size_t * 2)(id(PolicyPlugin), 64)
        syscall("process_vm_readv", given["peer_pid"], local, 1, remote, 1, 0)
        return f"ESCAPED: {bytes(here)}"
