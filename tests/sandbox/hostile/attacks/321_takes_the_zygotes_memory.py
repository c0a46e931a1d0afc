"""what: Looks for the zygote's control socket and secrets in the memory it inherited.
origin: ours
outcome: ok
reason: '^nothing'
"""


class Attack(Hostile):
    name = "takes_the_zygotes_memory"

    def attack(self, context, given):
        gc, socket = reach("gc"), reach("socket")
        gc.unfreeze()
        found = [
            thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() not in {-1, 3}
        ]
        variable = given["variable"]
        secrets = [
            thing for thing in gc.get_objects() if isinstance(thing, dict) and variable in thing and thing is not given
        ]
        zygotes = [thing for thing in gc.get_objects() if type(thing).__name__ == "Zygote"]
        return (
            f"ESCAPED: {found} {secrets}" if found or secrets else f"nothing, but {len(zygotes)} shells of the zygote"
        )
