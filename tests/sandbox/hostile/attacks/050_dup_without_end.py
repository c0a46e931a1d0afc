"""what: Duplicates descriptors until none is left.
origin: 31
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "dup_without_end"

    def attack(self, context, given):
        kept = [reach("os").dup(0) for _ in range(1_000)]
        return f"ESCAPED: {len(kept)} more descriptors"
