"""what: Answers by itself and never reads the next question.
origin: ours
outcome: ok
reason: '^early'
then: timeout
limits: timeout
"""


class Attack(Hostile):
    name = "answers_early_then_sleeps"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "early", {}, ""))
        time.sleep(60)
