"""what: Lists the machine's processes.
origin: 8
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "lists_processes"

    def attack(self, context, given):
        return f"ESCAPED: {reach('os').listdir('/proc')[:3]}"
