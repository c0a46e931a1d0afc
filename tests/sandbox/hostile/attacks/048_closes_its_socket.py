"""what: Closes its connection and lives on.
origin: 33
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "closes_its_socket"

    def attack(self, context, given):
        reach("os").close(3)
        time.sleep(60)
