"""what: Hands the service more lines to log than are allowed.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "many_lines_on_the_wire"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {}, "", [["info", "x"]] * 21))

        time.sleep(60)
