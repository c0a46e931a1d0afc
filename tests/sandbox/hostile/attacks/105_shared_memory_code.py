"""what: Attaches System V memory as executable.
origin: 61
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "shared_memory_code"

    def attack(self, context, given):
        number = syscall("shmget", 0, 4_096, 0o1777)
        return f"ESCAPED: {syscall('shmat', number, 0, 0o100000):#x}"
