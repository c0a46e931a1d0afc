"""what: Sends 60 KB of opening brackets.
origin: 42
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "nested_message"

    def attack(self, context, given):
        send((60_000).to_bytes(4, "big") + b"\x91" * 60_000)
        time.sleep(60)
