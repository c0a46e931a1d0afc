"""what: Puts bytes into metadata on the wire.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "bytes_on_the_wire"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {"a": b"x"}, ""))
        time.sleep(60)
