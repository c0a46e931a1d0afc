"""what: Leaves functions to be run at exit, and a finalizer.
origin: ours
outcome: ok
reason: '^left'
then: ok
"""


class Attack(Hostile):
    name = "exit_functions"

    def attack(self, context, given):
        def last():
            send(frame("answer", 1 << 20, "ok", True, "ESCAPED", {}, ""))
            while True:
                pass

        reach("atexit").register(last)
        reach("weakref").finalize(self, last)
        return "left"
