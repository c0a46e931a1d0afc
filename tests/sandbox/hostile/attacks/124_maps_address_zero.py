"""what: Maps address zero, where a careless kernel looks.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "maps_address_zero"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('mmap', 0, 4_096, 3, 0x32, -1, 0):#x}"
