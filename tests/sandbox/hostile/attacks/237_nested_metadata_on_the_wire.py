"""what: Sends metadata nested 900 deep past the worker's checks.
origin: 44
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "nested_metadata_on_the_wire"

    def attack(self, context, given):
        nested = {}
        for _ in range(900):
            nested = {"a": nested}
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", nested, ""))
        time.sleep(60)
