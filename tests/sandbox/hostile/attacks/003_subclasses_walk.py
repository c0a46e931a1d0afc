"""what: Walks from () to os.system through __subclasses__, without a single import.
origin: 2
outcome: ok
reason: '^refused'
"""


class Attack(Hostile):
    name = "subclasses_walk"

    def attack(self, context, given):
        for kind in ().__class__.__base__.__subclasses__():
            if kind.__name__ == "_wrap_close":
                status = kind.__init__.__globals__["system"](f"touch {given['folder']}/touched")
                return f"refused: {status}" if status else "ESCAPED: the shell ran"
        return "ESCAPED: no such class, the attack is no attack"
