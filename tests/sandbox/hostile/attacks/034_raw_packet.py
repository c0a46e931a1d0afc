"""what: Opens a raw socket.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "raw_packet"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('socket', 17, 3, 0x0300)}"
