"""what: Raises an exception whose text, name and traceback are traps.
origin: ours
outcome: error
reason: raised
"""


class Attack(Hostile):
    name = "exception_that_bites"

    def attack(self, context, given):
        class Bite(Exception):
            def __str__(self):
                raise SystemExit("ESCAPED")

            __repr__ = __str__

        Bite.__name__ = "\ud800" + "N" * 1_000_000
        raise Bite from Bite()
