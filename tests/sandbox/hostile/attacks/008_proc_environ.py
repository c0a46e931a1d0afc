"""what: Reads the environment from /proc.
origin: 5
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "proc_environ"

    def attack(self, context, given):
        for pid in ("self", given["service_pid"], given["zygote_pid"]):
            return "ESCAPED: " + open(f"/proc/{pid}/environ").read()
