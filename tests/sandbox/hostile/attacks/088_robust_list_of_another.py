"""what: Reads where another thread keeps its list of locks.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "robust_list_of_another"

    def attack(self, context, given):
        out = reach("ctypes").create_string_buffer(16)
        return f"ESCAPED: {syscall('get_robust_list', given['peer_pid'], out, bytes(out))}"
