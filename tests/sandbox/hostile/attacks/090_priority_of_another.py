"""what: Learns who exists by asking for priorities.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "priority_of_another"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('getpriority', 0, given['service_pid'])}"
