"""what: Answers with fields nobody knows.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "too_many_fields"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "its own word", {}, "", *range(1_000)))
        time.sleep(0.2)
        typing.sys.modules["os"]._exit(0)
