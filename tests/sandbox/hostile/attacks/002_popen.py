"""what: Starts a program by subprocess.
origin: 1
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "popen"

    def attack(self, context, given):
        process = reach("subprocess").Popen(["/bin/true"])
        return f"ESCAPED: process {process.pid}"
