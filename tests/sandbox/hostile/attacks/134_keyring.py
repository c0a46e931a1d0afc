"""what: Reads and makes keys of the session's ring.
origin: 53
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "keyring"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('keyctl', 0, -3, 1)} {syscall('add_key', b'user', b'x', b'y', 1, -3)}"
