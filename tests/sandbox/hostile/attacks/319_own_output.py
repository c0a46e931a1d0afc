r"""what: Puts its own objects in the place of output, and breaks them.
origin: ours
outcome: crashed
reason: 'exit 70\)'
"""


class Attack(Hostile):
    name = "own_output"

    def attack(self, context, given):
        typing.sys.stdout = typing.sys.stderr = None
        worker()._output = None
        return "printed"
