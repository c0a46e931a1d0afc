"""what: Puts infinity, which JSON cannot say, into metadata on the wire.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "infinity_on_the_wire"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {"a": float("inf")}, ""))
        time.sleep(60)
