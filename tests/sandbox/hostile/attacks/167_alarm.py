"""what: Sets alarms, to be ended by a signal of its own choice.
origin: ours
outcome: error
reason: raised itimer_error
"""


class Attack(Hostile):
    name = "alarm"

    def attack(self, context, given):
        reach("signal").setitimer(0, 0.01, 0.01)
        return "ESCAPED: an alarm rings"
