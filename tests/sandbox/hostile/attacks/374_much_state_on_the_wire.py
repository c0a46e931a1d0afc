"""what: Hands the service 70 KB to remember.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "much_state_on_the_wire"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {}, "", [], b"x" * 70_000))

        time.sleep(60)
