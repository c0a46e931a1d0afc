"""what: Calls the service in the middle of a question nobody asked.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "calls_in_anothers_name"

    def attack(self, context, given):
        send(frame("call", 1 << 20, 1, "hit", b"key", 1_000_000, 60, 1))

        time.sleep(60)
