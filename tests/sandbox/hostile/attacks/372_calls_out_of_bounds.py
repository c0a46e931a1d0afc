"""what: Calls the service with figures beyond all bounds.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "calls_out_of_bounds"

    def attack(self, context, given):
        send(frame("call", ask_id(), 1, "hit", b"k" * 60_000, 1 << 62, 1 << 62, -1))

        time.sleep(60)
