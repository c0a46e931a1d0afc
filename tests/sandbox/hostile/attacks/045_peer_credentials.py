"""what: Asks its socket for the service's process and user.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "peer_credentials"

    def attack(self, context, given):
        out = reach("ctypes").create_string_buffer(12)
        size = reach("ctypes").create_string_buffer((12).to_bytes(4, "little"), 4)
        must(libc().getsockopt(3, 1, 17, out, size))
        return f"ESCAPED: {bytes(out)}"
