"""what: Reads every descriptor it has inherited as a folder.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "getdents_on_what_is_open"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(4_096)
        return f"ESCAPED: {[syscall('getdents64', number, buffer, 4_096) for number in range(64)]}"
