"""what: Has the kernel start a helper program for a key.
origin: 53
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "request_key"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('request_key', b'user', b'x', b'y', -3)}"
