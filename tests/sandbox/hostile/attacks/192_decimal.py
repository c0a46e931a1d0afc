"""what: Computes with a decimal context of a million digits.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "decimal"

    def attack(self, context, given):
        import decimal

        decimal.getcontext().prec = 1_000_000
        return decimal.Decimal(2).sqrt().ln()
