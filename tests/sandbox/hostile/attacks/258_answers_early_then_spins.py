"""what: Answers by itself and works on, unasked, for as long as nobody looks.
origin: 75
outcome: ok
reason: '^early'
then: quarantined
pause_s: 3.0
"""


class Attack(Hostile):
    name = "answers_early_then_spins"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "early", {}, ""))
        while True:
            pass
