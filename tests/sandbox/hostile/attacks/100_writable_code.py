"""what: Maps memory to write code into and run it.
origin: 62
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "writable_code"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('mmap', 0, 4_096, 7, 0x22, -1, 0):#x}"
