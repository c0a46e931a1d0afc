"""what: Passes a descriptor to the service, to fill its table.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "passes_descriptors"

    def attack(self, context, given):
        socket = reach("socket")
        ctypes = reach("ctypes")

        class Message(ctypes.Structure):
            _fields_ = [
                (field, kind)
                for field, kind in zip(
                    "abcdefg",
                    [
                        ctypes.c_void_p,
                        ctypes.c_uint,
                        ctypes.c_void_p,
                        ctypes.c_size_t,
                        ctypes.c_void_p,
                        ctypes.c_size_t,
                        ctypes.c_int,
                    ],
                    strict=True,
                )
            ]

        text = ctypes.create_string_buffer(b"x", 1)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(text), 1)
        control = ctypes.create_string_buffer(
            (20).to_bytes(8, "little") + bytes([socket.SOL_SOCKET, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), 24
        )
        message = Message(None, 0, ctypes.addressof(vector), 1, ctypes.addressof(control), 24, 0)
        return f"ESCAPED: {syscall('sendmsg', 3, ctypes.addressof(message), 0)}"
