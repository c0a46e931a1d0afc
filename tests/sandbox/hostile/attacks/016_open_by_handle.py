"""what: Opens the root folder by a made-up file handle, the way out of old containers.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "open_by_handle"

    def attack(self, context, given):
        handle = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
        return f"ESCAPED: {syscall('open_by_handle_at', 3, handle, 0)}"
