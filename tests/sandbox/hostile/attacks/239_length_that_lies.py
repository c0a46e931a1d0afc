"""what: Announces four billion elements in a message of twenty bytes.
origin: 42
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "length_that_lies"

    def attack(self, context, given):
        send(bytes.fromhex("00000010 95a6616e73776572 dd7fffffff000000"))
        time.sleep(60)
