"""what: Waits for a lock it holds itself.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "deadlock"

    def attack(self, context, given):
        lock = reach("_thread").allocate_lock()
        lock.acquire()
        lock.acquire()
