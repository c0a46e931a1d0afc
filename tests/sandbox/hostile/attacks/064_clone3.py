"""what: Makes a process by clone3, whose arguments no filter can see.
origin: 18
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "clone3"

    def attack(self, context, given):
        arguments = reach("ctypes").create_string_buffer(88)
        arguments[32] = 17
        return f"ESCAPED: process {syscall('clone3', arguments, 88)}"
