"""what: Sends a frame of no bytes.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "empty_frame"

    def attack(self, context, given):
        send(bytes(4))
        time.sleep(60)
