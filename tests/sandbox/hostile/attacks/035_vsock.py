"""what: Talks to the hypervisor.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "vsock"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('socket', 40, 1, 0)}"
