"""what: Says it will send no more, and reads on.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "half_closes"

    def attack(self, context, given):
        must(libc().shutdown(3, 1))
        time.sleep(60)
