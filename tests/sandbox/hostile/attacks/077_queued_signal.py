"""what: Sends the service a signal with a value and a forged sender.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "queued_signal"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('rt_sigqueueinfo', given['service_pid'], 18, bytes(128))}"
