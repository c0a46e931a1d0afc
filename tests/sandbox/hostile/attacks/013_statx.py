"""what: Asks for a file's size by statx.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "statx"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(256)
        syscall("statx", -100, given["file"].encode(), 0, 0x7FF, buffer)
        return f"ESCAPED: {bytes(buffer)[:64]}"
