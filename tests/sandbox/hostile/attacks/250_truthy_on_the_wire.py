"""what: Permits with 1 for true on the wire.
origin: 40
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "truthy_on_the_wire"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", 1, "ESCAPED", {}, ""))
        time.sleep(60)
