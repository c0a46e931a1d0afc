"""what: Begins a frame that the worker's own answer then completes.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "half_a_frame"

    def attack(self, context, given):
        send((60_000).to_bytes(4, "big") + b"x")
        return "ESCAPED: its answer is part of another frame"
