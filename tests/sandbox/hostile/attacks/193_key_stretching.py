"""what: Hashes ten billion rounds in C.
origin: ours
outcome: cpu_limit
reason: cpu limit
"""


class Attack(Hostile):
    name = "key_stretching"

    def attack(self, context, given):
        import hashlib

        return hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)
