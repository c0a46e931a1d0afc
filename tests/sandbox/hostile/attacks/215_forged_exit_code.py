"""what: Ends with the code that means its memory ran out.
origin: ours
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "forged_exit_code"

    def attack(self, context, given):
        reach("os")._exit(77)
