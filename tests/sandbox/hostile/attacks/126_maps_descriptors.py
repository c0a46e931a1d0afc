"""what: Maps the descriptors it has, executable and not.
origin: ours
outcome: error
reason: 'raised (OSError|PermissionError)'
"""


class Attack(Hostile):
    name = "maps_descriptors"

    def attack(self, context, given):
        for number in range(8):
            for protection in (1, 5):
                try:
                    return f"ESCAPED: {syscall('mmap', 0, 4_096, protection, 2, number, 0):#x}"
                except OSError as error:
                    last = error
        raise last
