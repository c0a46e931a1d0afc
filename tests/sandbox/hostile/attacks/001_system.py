"""what: Runs a shell command by os.system.
origin: 1
outcome: ok
reason: '^refused'
"""


class Attack(Hostile):
    name = "system"

    def attack(self, context, given):
        status = reach("os").system(f"touch {given['folder']}/touched")
        return f"refused: {status}" if status else "ESCAPED: the shell ran"
