"""what: Rearranges mapped pages under code that runs.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "remap_pages"

    def attack(self, context, given):
        place = syscall("mmap", 0, 8_192, 3, 0x21, -1, 0)
        return f"ESCAPED: {syscall('remap_file_pages', place, 4_096, 0, 1, 0)}"
