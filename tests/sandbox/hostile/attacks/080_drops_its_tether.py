"""what: Asks not to be killed when the zygote ends.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "drops_its_tether"

    def attack(self, context, given):
        syscall("prctl", 1, 0, 0, 0, 0)
        return "ESCAPED: it outlives its zygote"
