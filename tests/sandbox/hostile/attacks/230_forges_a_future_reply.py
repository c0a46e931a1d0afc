"""what: Permits a question nobody has asked yet.
origin: 34
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "forges_a_future_reply"

    def attack(self, context, given):
        send(frame("answer", 1 << 20, "ok", True, "ESCAPED", {}, ""))
        time.sleep(60)
