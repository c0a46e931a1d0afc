"""what: Writes over every buffer it finds that might be shared with other processes.
origin: ours
outcome: ok
reason: '^overwrote [1-9]'
"""


class Attack(Hostile):
    name = "frozen_memory"

    def attack(self, context, given):
        gc, mmap = reach("gc"), reach("mmap")
        gc.unfreeze()
        found = 0
        for thing in gc.get_objects():
            if isinstance(thing, mmap.mmap):
                thing[:] = b"\xff" * len(thing)
                found += 1
            elif isinstance(thing, memoryview) and not thing.readonly:
                thing[:] = b"\xff" * len(thing)
                found += 1
        return f"overwrote {found}"
