"""what: Sends output longer than is allowed.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "output_without_end"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {}, "x" * 50_000))
        time.sleep(60)
