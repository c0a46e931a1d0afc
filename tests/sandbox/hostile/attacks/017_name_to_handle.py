"""what: Has the kernel name a file by handle and mount.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "name_to_handle"

    def attack(self, context, given):
        handle = reach("ctypes").create_string_buffer((128).to_bytes(4, "little"), 256)
        mount = reach("ctypes").create_string_buffer(4)
        return f"ESCAPED: {syscall('name_to_handle_at', -100, b'/', handle, mount, 0)}"
