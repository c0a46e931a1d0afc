"""what: Finds the worker's connection, and answers a later question through it.
origin: ours
outcome: ok
reason: '^first'
then: quarantined
pause_s: 0.1
"""


class Attack(Hostile):
    name = "takes_the_connection"

    async def evaluate(self, context):
        host = worker()
        original = host._connection

        class Doubled:
            def sendall(self, data):
                original.sendall(data)
                original.sendall(data)

            def recv_into(self, space):
                return original.recv_into(space)

        host._connection = Doubled()
        return PolicyDecision(True, "first")
