"""what: Calls machine code that lies in a bytes object.
origin: 63
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "shellcode_in_bytes"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        code = b"\xb8\x2a\x00\x00\x00\xc3"  # mov eax, 42; ret
        place = ctypes.cast(ctypes.c_char_p(code), ctypes.c_void_p).value
        return f"ESCAPED: {ctypes.CFUNCTYPE(ctypes.c_int).from_address(ctypes.addressof(ctypes.c_size_t(place)))()}"
