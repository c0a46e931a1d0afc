"""what: Raises its own limits.
origin: 65
outcome: error
reason: raised ValueError
"""


class Attack(Hostile):
    name = "raises_its_limits"

    def attack(self, context, given):
        resource = reach("resource")
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        return "ESCAPED: memory without a limit"
