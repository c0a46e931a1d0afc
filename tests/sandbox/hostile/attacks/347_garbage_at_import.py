"""what: Sends garbage while it is imported.
origin: ours
outcome: load_error
reason: sandbox violation
"""

send(b"\xff" * 8)
time.sleep(60)


class Attack(Hostile):
    name = "garbage_at_import"

    def attack(self, context, given):
        return "loaded"
