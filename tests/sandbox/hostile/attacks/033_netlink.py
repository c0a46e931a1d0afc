"""what: Asks the kernel for the machine's addresses.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "netlink"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('socket', 16, 3, 0)}"
