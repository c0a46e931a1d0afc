"""what: Takes the service's descriptors away by prlimit.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "lowers_limits_of_another"

    def attack(self, context, given):
        limit = (16).to_bytes(8, "little") + (16).to_bytes(8, "little")
        for pid in (given["service_pid"], given["zygote_pid"], given["peer_pid"]):
            return f"ESCAPED: {syscall('prlimit64', pid, 7, limit, 0)}"
