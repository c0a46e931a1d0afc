"""what: Reads random bytes without end.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "drains_randomness"

    def attack(self, context, given):
        while True:
            syscall(318, reach("ctypes").create_string_buffer(1 << 20), 1 << 20, 0)
