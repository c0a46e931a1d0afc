"""what: Compiles an expression that is deeper than the compiler's stack.
origin: ours
outcome: memory_limit
reason: memory limit
"""


class Attack(Hostile):
    name = "overflows_the_c_stack_at_load_depth"

    def attack(self, context, given):
        typing.sys.setrecursionlimit(1_000_000)
        return eval("-" * 200_000 + "1")
