"""what: Replaces evaluate by a coroutine of its own making that waits for itself.
origin: ours
outcome: error
reason: can never happen
"""

from collections.abc import Coroutine


class Endless(Coroutine):
    _asyncio_future_blocking = True

    def send(self, value):
        return self

    def throw(self, *arguments):
        return self

    def close(self):
        raise SystemExit("no")

    def __await__(self):
        return self

    def get_loop(self):
        return asyncio.get_running_loop()

    def add_done_callback(self, callback, context=None):
        self.callback = callback


class Attack(Hostile):
    name = "generator_instead"

    def __init__(self):
        self.evaluate = lambda context: Endless()
