"""what: Leaves a state that no decoder reads, although it keeps none.
origin: ours
outcome: ok
reason: '^its own word'
"""


class Attack(Hostile):
    name = "foreign_state"

    def attack(self, context, given):
        send(frame("answer", ask_id(), "ok", True, "its own word", {}, "", [], b"\x91" * 60_000))
        reach("os")._exit(7)
