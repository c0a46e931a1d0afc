"""what: Sends from a finalizer that runs while the worker makes its answer.
origin: ours
outcome: violation
reason: nobody asked for
"""


class Attack(Hostile):
    name = "frames_from_a_finalizer"

    def attack(self, context, given):
        class Last:
            def __del__(self):
                send(frame("answer", 1 << 20, "ok", True, "ESCAPED", {}, ""))

        kept = Last()
        kept.itself = kept
        reach("gc").set_threshold(1)
        return "quiet"
