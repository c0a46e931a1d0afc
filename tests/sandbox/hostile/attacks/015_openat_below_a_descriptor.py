"""what: Opens `..` below every descriptor it has inherited.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "openat_below_a_descriptor"

    def attack(self, context, given):
        for number in range(64):
            try:
                return f"ESCAPED: {must(libc().openat(number, b'..', 0))}"
            except OSError as error:
                if error.errno == 1:
                    raise
        return "ESCAPED: no descriptor was refused, only missing"
