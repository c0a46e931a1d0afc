"""what: Says once more that all walls stand.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "ready_again"

    def attack(self, context, given):
        send(frame("ready", ask_id(), [["seccomp", True, "ESCAPED"]]))
        time.sleep(60)
