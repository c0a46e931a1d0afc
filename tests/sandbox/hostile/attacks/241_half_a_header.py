"""what: Sends three bytes and waits, for the host to wait with it.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "half_a_header"

    def attack(self, context, given):
        send(bytes(3))
        time.sleep(60)
