"""what: Starts a thread.
origin: 19
outcome: error
reason: 'raised (RuntimeError|error)'
"""


class Attack(Hostile):
    name = "thread"

    def attack(self, context, given):
        reach("_thread").start_new_thread(time.sleep, (60,))
        return "ESCAPED: a thread runs"
