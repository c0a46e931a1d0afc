"""what: Opens a message queue others can read.
origin: 61
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "message_queue"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('mq_open', b'x', 0o102, 0o600, 0)}"
