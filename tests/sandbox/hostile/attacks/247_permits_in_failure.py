"""what: Says it failed and permits at the same time.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "permits_in_failure"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "error", True, "ESCAPED", {}, ""))
        time.sleep(60)
