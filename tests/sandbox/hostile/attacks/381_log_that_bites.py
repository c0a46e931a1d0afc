"""what: Logs an object whose text is a trap.
origin: ours
outcome: error
reason: raised SystemExit
"""


class Attack(Hostile):
    name = "log_that_bites"

    def attack(self, context, given):
        import logging

        class Bite:
            def __str__(self):
                raise SystemExit("ESC")

        logging.warning("%s", Bite())
        return "logged"
