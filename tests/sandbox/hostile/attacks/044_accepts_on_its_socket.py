"""what: Accepts connections on its own socket.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "accepts_on_its_socket"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('accept4', 3, 0, 0, 0)}"
