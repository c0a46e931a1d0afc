"""what: Gives its own socket's send another address.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "sends_elsewhere"

    def attack(self, context, given):
        address = b"\x01\x00\x00" + given["abstract"].encode()
        return f"ESCAPED: {syscall('sendto', 3, b'x', 1, 0, address, len(address))}"
