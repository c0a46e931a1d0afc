"""what: Says it is unloaded while it is asked.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "unloaded_early"

    def attack(self, context, given):
        send(frame("unloaded", ask_id()))
        time.sleep(60)
