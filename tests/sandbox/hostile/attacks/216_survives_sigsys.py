"""what: Handles the signal of a forbidden call, to try another.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "survives_sigsys"

    def attack(self, context, given):
        signal = reach("signal")
        try:
            signal.signal(signal.SIGSYS, signal.SIG_IGN)
        except OSError:
            typing.sys.stdout.write("no handler, then without")
        for name in ("ptrace", "setns", "io_uring_setup"):
            try:
                syscall(name, 0, 0, 0)
            except OSError:
                continue
        return "ESCAPED: it lives after a forbidden call"
