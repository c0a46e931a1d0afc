"""what: Sends a datagram.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "udp"

    def attack(self, context, given):
        socket = reach("socket")
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"ESCAPED", ("127.0.0.1", given["port"]))
        return "ESCAPED: sent"
