"""what: 'Receives on descriptor 3 with a flag in the upper half: what does the filter compare?'
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "high_bits_of_a_descriptor"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(8)
        return f"ESCAPED: {syscall(45, (1 << 32) | 0, buffer, 8, 0x40, 0, 0)}"
