r"""what: Ends its process as if all were well.
origin: 71
outcome: crashed
reason: 'exit 0\)'
"""


class Attack(Hostile):
    name = "polite_exit"

    def attack(self, context, given):
        reach("os")._exit(0)
