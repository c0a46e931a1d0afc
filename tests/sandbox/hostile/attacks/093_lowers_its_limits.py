"""what: Lowers its own limits, so that the kernel kills it under another name.
origin: ours
outcome: error
reason: raised ValueError
"""


class Attack(Hostile):
    name = "lowers_its_limits"

    def attack(self, context, given):
        resource = reach("resource")
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        return "ESCAPED: limits changed"
