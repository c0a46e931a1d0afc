"""what: Reads address zero.
origin: 70
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "segmentation_fault"

    def attack(self, context, given):
        reach("ctypes").string_at(0)
