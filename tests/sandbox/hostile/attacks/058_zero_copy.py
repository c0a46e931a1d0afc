"""what: Has the kernel send straight from its pages, which it then changes.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "zero_copy"

    def attack(self, context, given):
        return f"ESCAPED: {must(libc().send(3, b'x', 1, 0x04000000))}"
