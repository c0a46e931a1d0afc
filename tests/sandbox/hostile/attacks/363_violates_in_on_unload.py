"""what: Makes a forbidden call in on_unload.
origin: ours
outcome: ok
reason: '^loaded'
"""


class Attack(Hostile):
    name = "violates_in_on_unload"

    async def on_unload(self):
        syscall("ptrace", 0, 0, 0)

    def attack(self, context, given):
        return "loaded"
