"""what: Sleeps until the service has used so much of the CPU.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "sleeps_on_anothers_clock"

    def attack(self, context, given):
        libc().clock_nanosleep.restype = reach("ctypes").c_int
        number = libc().clock_nanosleep((~given["service_pid"] << 3) | 2, 0, bytes(8) + (1).to_bytes(8, "little"), None)
        if number == 1:
            raise PermissionError(number)
        return f"ESCAPED: the kernel looked for the process: {number}"
