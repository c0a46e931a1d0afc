"""what: Takes hold of another plugin by a process descriptor.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "pidfd_signal"

    def attack(self, context, given):
        descriptor = syscall("pidfd_open", given["peer_pid"], 0)
        return f"ESCAPED: {descriptor} {syscall('pidfd_send_signal', descriptor, 9, 0, 0)}"
