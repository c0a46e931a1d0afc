"""what: Connects to a socket without a path, which no file permission guards.
origin: 11
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "abstract_socket"

    def attack(self, context, given):
        socket = reach("socket")
        connection = socket.socket(socket.AF_UNIX)
        connection.connect("\0" + given["abstract"])
        return "ESCAPED: connected"
