"""what: Has its socket send a signal to the service whenever something arrives.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "signals_from_its_socket"

    def attack(self, context, given):
        must(libc().fcntl(3, 8, given["service_pid"]))
        must(libc().fcntl(3, 10, 19))
        must(libc().fcntl(3, 4, 0x2000))
        return "ESCAPED: the service gets signals"
