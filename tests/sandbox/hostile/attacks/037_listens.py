"""what: Makes a pair of sockets and a listener of its own.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "listens"

    def attack(self, context, given):
        socket = reach("socket")
        return f"ESCAPED: {socket.socketpair()} {socket.create_server(('127.0.0.1', 0))}"
