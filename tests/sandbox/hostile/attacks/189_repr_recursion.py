"""what: Nests deeply, then asks for the text again and again.
origin: 28
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "repr_recursion"

    def attack(self, context, given):
        class Deep:
            def __repr__(self):
                try:
                    return repr(self)
                except RecursionError:
                    return repr(self) + repr(self)

        return repr(Deep())
