"""what: Types into the service's terminal.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "terminal_input"

    def attack(self, context, given):
        for number in range(4):
            reach("fcntl").ioctl(number, 0x5412, b"x")
        return "ESCAPED: typed"
