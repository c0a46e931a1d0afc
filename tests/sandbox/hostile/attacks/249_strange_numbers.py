"""what: Numbers its reply with a float, which equals the number asked for.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "strange_numbers"

    def attack(self, context, given):
        send(frame("answer", float(ask_id()) + 0.5, "ok", True, "ESCAPED", {}, ""))
        time.sleep(60)
