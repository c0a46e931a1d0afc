"""what: Receives out of band and from the error queue of its own socket.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "receives_the_error_queue"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(64)
        for flags in (0x01, 0x2000, 0x40000000):
            try:
                return f"ESCAPED: {must(libc().recv(3, buffer, 64, flags | 0x40))}"
            except OSError as error:
                if error.errno == 1:
                    raise
        return "ESCAPED: the kernel looked"
