"""what: Sends a reason that is no text.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "broken_utf8"

    def attack(self, context, given):
        message = frame("answer", ask_id(), "ok", True, "abcdefgh", {}, "").replace(
            b"abcdefgh", b"\xff\xfe\xed\xa0\x80\xc0\xaf\xf5"
        )
        send(message)
        time.sleep(60)
