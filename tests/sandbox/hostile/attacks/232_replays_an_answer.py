"""what: Sends the answer of the call before once more.
origin: ours
outcome: violation
reason: nobody asked for
calls: 2
"""


class Attack(Hostile):
    name = "replays_an_answer"

    last = b""

    def attack(self, context, given):
        if self.last:
            send(self.last)
            time.sleep(60)
        self.last = frame("answer", ask_id(), "ok", True, "ESCAPED by replay", {}, "")
        return "first"
