"""what: Hands the service a line to log of 60 KB.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "long_lines_on_the_wire"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {}, "", [["info", "x" * 60_000]]))

        time.sleep(60)
