"""what: Writes into the service's memory.
origin: 49
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "writes_services_memory"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        here = ctypes.create_string_buffer(8)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
        return f"ESCAPED: {syscall('process_vm_writev', given['service_pid'], vector, 1, vector, 1, 0)}"
