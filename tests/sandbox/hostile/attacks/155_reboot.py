"""what: Turns Ctrl-Alt-Del off, by the call that can reboot.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "reboot"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('reboot', 0xFEE1DEAD, 672274793, 0, 0)}"
