"""what: Has the kernel poll a million descriptors.
origin: ours
outcome: error
reason: raised OSError
"""


class Attack(Hostile):
    name = "polls_what_is_not_there"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(8 << 20)
        return f"ESCAPED: {must(libc().poll(buffer, 1 << 20, 0))}"
