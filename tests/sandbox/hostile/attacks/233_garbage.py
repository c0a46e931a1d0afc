"""what: Sends bytes that are no message.
origin: 36
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "garbage"

    def attack(self, context, given):
        send(b"\xff" * 100)
        time.sleep(60)
