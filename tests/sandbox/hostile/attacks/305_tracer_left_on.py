"""what: Leaves a tracer on that steps through the worker's own code.
origin: ours
outcome: ok
reason: '^traced'
then: ok
"""


class Attack(Hostile):
    name = "tracer_left_on"

    def attack(self, context, given):
        def trace(frame, event, argument):
            if event == "call" and frame.f_code.co_name == "_send":
                frame.f_locals["self"]._loop.time = lambda: 0.0
            return trace

        typing.sys.settrace(trace)
        typing.sys.setprofile(lambda *_: None)
        return "traced"
