"""what: Puts handlers on all fatal signals and goes on after a segmentation fault.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "crash_handler"

    def attack(self, context, given):
        signal = reach("signal")
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE):
            try:
                signal.signal(number, lambda *_: None)
            except OSError:
                typing.sys.stdout.write("no handler, then without")
        reach("ctypes").string_at(0)
        return "ESCAPED: read address zero"
