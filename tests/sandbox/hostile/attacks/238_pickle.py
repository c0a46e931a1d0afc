"""what: Sends a pickle that would run a command.
origin: 43
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "pickle"

    def attack(self, context, given):
        body = b"cposix\nsystem\n(S'touch " + given["folder"].encode() + b"/pickled'\ntR."
        send(len(body).to_bytes(4, "big") + body)
        time.sleep(60)
