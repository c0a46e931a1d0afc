"""what: Reads every clock it is allowed to.
origin: ours
outcome: ok
reason: '^the time'
may: the time and its own CPU time
"""


class Attack(Hostile):
    name = "clocks_it_may_read"

    def attack(self, context, given):
        return f"the time: {time.time():.0f} {time.monotonic():.0f} {time.process_time():.0f} {time.perf_counter():.0f}"
