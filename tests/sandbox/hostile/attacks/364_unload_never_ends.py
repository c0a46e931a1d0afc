"""what: Catches its cancellation and everything else in on_unload, and says it is unloaded, twice.
origin: ours
outcome: ok
reason: '^loaded'
"""


class Attack(Hostile):
    name = "unload_never_ends"

    async def on_unload(self):
        for number in range(1, 50):
            send(frame("unloaded", number))
        time.sleep(60)

    def attack(self, context, given):
        return "loaded"
