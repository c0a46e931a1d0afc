"""what: Sends ten megabytes of answers.
origin: 38
outcome: ok
reason: '^its own word'
then: quarantined
pause_s: 0.1
"""


class Attack(Hostile):
    name = "reply_of_10_mb"

    def attack(self, context, given):
        for _ in range(10_000):
            send(frame("answer", ask_id(), "ok", True, "its own word", {}, "x" * 1_000))
        time.sleep(60)
