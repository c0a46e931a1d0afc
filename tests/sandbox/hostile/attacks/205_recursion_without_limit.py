"""what: Lifts the recursion limit and overflows the C stack.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "recursion_without_limit"

    def attack(self, context, given):
        typing.sys.setrecursionlimit(2**31 - 1)

        nested = []
        for _ in range(200_000):
            nested = [nested]
        return repr(nested)
