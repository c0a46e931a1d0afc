"""what: Connects to a port of the machine.
origin: 10
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "tcp"

    def attack(self, context, given):
        connection = reach("socket").create_connection(("127.0.0.1", given["port"]), 1)
        connection.sendall(b"ESCAPED")
        return "ESCAPED: connected"
