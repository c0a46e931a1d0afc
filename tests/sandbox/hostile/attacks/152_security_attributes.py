"""what: Asks the security modules about itself.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "security_attributes"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('lsm_get_self_attr', 100, bytes(64), bytes(8), 0)}"
