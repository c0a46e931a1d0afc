"""what: Has the dynamic loader open a library.
origin: ours
outcome: error
reason: raised OSError
"""


class Attack(Hostile):
    name = "dlopen"

    def attack(self, context, given):
        return f"ESCAPED: {reach('ctypes').CDLL('libutil.so.1')} {reach('ctypes').CDLL(given['file'])}"
