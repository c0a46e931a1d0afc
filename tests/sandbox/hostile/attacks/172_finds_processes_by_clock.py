"""what: Learns which process numbers are taken by asking how fine their clocks are.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "finds_processes_by_clock"

    def attack(self, context, given):
        out = reach("ctypes").create_string_buffer(16)
        found = []
        for pid in (given["service_pid"], given["zygote_pid"], given["peer_pid"], 1, 2):
            try:
                must(libc().clock_getres((~pid << 3) | 2, out))
                found.append(pid)
            except OSError as error:
                if error.errno == 1:
                    raise
        return f"ESCAPED: the kernel looked for them: {found}"
