"""what: Logs at a level that is a name of the logger's methods.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "unknown_level"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {}, "", [["bind", "x"]]))

        time.sleep(60)
