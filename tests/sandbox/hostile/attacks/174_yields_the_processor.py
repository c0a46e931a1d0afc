"""what: Calls the scheduler in a loop.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "yields_the_processor"

    def attack(self, context, given):
        while True:
            libc().sched_yield()
