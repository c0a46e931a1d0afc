"""what: Puts a packet filter program on its socket.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "socket_filter"

    def attack(self, context, given):
        must(libc().setsockopt(3, 1, 26, bytes(16), 16))
        return "ESCAPED: a program runs in the kernel"
