"""what: Receives on descriptors other than its own.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "receives_elsewhere"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(64)
        for number in (0, 1, 2, 4, 5, 6, 7):
            try:
                return f"ESCAPED: {must(libc().recv(number, buffer, 64, 0x40))}"
            except OSError as error:
                if error.errno == 1:
                    raise
        return "ESCAPED: nothing refused it"
