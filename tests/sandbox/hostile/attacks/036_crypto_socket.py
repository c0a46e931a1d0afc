"""what: Opens the kernel's cipher interface, where many a hole has been.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "crypto_socket"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('socket', 38, 5, 0)}"
