r"""what: Ends its process with a code.
origin: 71
outcome: crashed
reason: 'exit 7\)'
"""


class Attack(Hostile):
    name = "exit"

    def attack(self, context, given):
        reach("os")._exit(7)
