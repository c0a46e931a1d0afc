"""what: Answers by itself, and then lets the worker answer the same question.
origin: 35
outcome: ok
reason: '^its own word'
then: quarantined
pause_s: 0.1
"""


class Attack(Hostile):
    name = "answers_twice"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "its own word", {}, ""))
        return "ESCAPED: a second answer to one question"
