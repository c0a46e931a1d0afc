"""what: Kills another plugin's thread by the raw call.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "tgkill"

    def attack(self, context, given):
        for pid in (given["peer_pid"], given["zygote_pid"]):
            return f"ESCAPED: {syscall('tgkill', pid, pid, 9)}"
