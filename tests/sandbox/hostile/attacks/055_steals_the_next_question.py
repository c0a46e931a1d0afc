"""what: Reads its connection itself, so that the worker never sees the next question.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "steals_the_next_question"

    def attack(self, context, given):
        buffer = reach("ctypes").create_string_buffer(65_536)
        return f"ESCAPED: {must(libc().recv(3, buffer, 65_536, 0))}"
