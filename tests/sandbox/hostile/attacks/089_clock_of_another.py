"""what: 'Reads the service''s and another plugin''s CPU clock: a timing channel, and tells who exists.'
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "clock_of_another"

    def attack(self, context, given):
        seen = {}
        for who in ("service_pid", "zygote_pid", "peer_pid"):
            try:
                seen[who] = time.clock_gettime((~given[who] << 3) | 2)
            except OSError as error:
                if error.errno == 1:
                    raise
        return f"ESCAPED: the kernel looked for them: {seen}"
