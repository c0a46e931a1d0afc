"""what: Connects its own socket to somewhere else.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "connects_its_socket"

    def attack(self, context, given):
        address = b"\x01\x00\x00" + given["abstract"].encode()
        return f"ESCAPED: {syscall('connect', 3, address, len(address))}"
