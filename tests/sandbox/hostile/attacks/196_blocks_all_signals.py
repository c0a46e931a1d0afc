"""what: Blocks every signal, ignores the rest, then loops.
origin: 29
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "blocks_all_signals"

    def attack(self, context, given):
        signal = reach("signal")
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        except OSError:
            typing.sys.stdout.write("not blocked, then without")
        while True:
            pass
