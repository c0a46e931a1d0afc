"""what: Asks for a gigabyte at once.
origin: 21
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "one_gigabyte"

    def attack(self, context, given):
        return f"ESCAPED: {len(b'x' * (1 << 30))}"
