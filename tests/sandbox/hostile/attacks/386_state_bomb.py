r"""what: Leaves a state behind that breaks whoever restores it, and dies.
origin: ours
outcome: crashed
reason: 'exit 7\)'
calls: 2
then: crashed
pause_s: 0.2
"""


class Attack(Hostile):
    name = "state_bomb"

    def snapshot(self):
        return None

    def restore(self, state):
        raise SystemExit("not this")

    def attack(self, context, given):
        if not hasattr(self, "once"):
            self.once = True
            return "first"
        reach("os")._exit(7)
