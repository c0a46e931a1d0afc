"""what: Makes semaphores that outlive it.
origin: 61
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "semaphores"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('semget', 0, 1, 0o1600)} {syscall('msgget', 0, 0o1600)}"
