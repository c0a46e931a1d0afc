"""what: Backtracks for ever.
origin: 26
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "regular_expression"

    def attack(self, context, given):
        import re

        return re.match("(a+)+$", "a" * 60 + "b")
