"""what: Calls the service for a rate window it was never granted.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "calls_without_a_grant"

    def attack(self, context, given):
        send(frame("call", ask_id(), 1, "hit", b"key", 1_000_000, 60, 1))

        time.sleep(60)
