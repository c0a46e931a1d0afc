"""what: Sends an answer of 200 KB.
origin: 37
outcome: violation
reason: a frame of
"""


class Attack(Hostile):
    name = "reply_of_200_kb"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "x" * 200_000, {}, "")[:60_000])
        time.sleep(60)
