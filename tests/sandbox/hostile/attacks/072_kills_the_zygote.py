"""what: Kills the process it was forked from.
origin: 46
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "kills_the_zygote"

    def attack(self, context, given):
        os = reach("os")
        for pid in (os.getppid(), given["zygote_pid"], 1):
            if pid:
                os.kill(pid, 9)
        return "ESCAPED: killed"
