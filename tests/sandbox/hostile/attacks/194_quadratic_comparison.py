"""what: Compares texts by difflib at its worst.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "quadratic_comparison"

    def attack(self, context, given):
        import difflib

        return difflib.SequenceMatcher(None, "ab" * 50_000, "ba" * 50_000, autojunk=False).ratio()
