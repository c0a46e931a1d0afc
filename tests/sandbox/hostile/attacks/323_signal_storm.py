"""what: Has Python handle a signal it sends itself without end.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "signal_storm"

    def attack(self, context, given):
        signal = reach("signal")
        signal.signal(signal.SIGUSR1, lambda *_: signal.raise_signal(signal.SIGUSR1))
        while True:
            signal.raise_signal(signal.SIGUSR1)
