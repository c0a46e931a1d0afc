"""what: Maps a shadow stack.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "shadow_stack"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('map_shadow_stack', 0, 4_096, 0):#x}"
