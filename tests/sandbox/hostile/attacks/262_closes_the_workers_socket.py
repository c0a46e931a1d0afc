"""what: Closes the worker's connection object under it.
origin: ours
outcome: crashed
reason: crashed
"""


class Attack(Hostile):
    name = "closes_the_workers_socket"

    def attack(self, context, given):
        worker()._connection.close()
        return "ESCAPED: answered without a connection"
