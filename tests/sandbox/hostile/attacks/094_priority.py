"""what: Makes itself more important than the service.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "priority"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('setpriority', 0, 0, -20)}"
