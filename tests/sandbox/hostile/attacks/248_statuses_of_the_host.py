"""what: Claims a status only the host may give.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "statuses_of_the_host"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "overloaded", True, "ESCAPED", {}, ""))
        time.sleep(60)
