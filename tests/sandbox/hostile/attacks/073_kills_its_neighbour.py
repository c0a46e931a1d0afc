"""what: Kills another plugin, by its real number and by all that are near its own.
origin: 46
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "kills_its_neighbour"

    def attack(self, context, given):
        os = reach("os")
        missing = 0
        for pid in (given["peer_pid"], *range(max(2, os.getpid() - 50), os.getpid())):
            try:
                os.kill(pid, 9)
                return f"ESCAPED: killed {pid}"
            except ProcessLookupError:
                missing += 1
        raise PermissionError(f"{missing} numbers are nobody's")
