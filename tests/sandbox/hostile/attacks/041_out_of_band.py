"""what: Sends a byte out of band, the way in of CVE-2025-38236.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "out_of_band"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('sendto', 3, b'x', 1, 1, 0, 0)}"
