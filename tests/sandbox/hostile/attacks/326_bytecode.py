"""what: Runs bytecode no compiler would write, to read beyond its constants.
origin: ours
outcome: crashed
reason: SIGSEGV
"""


class Attack(Hostile):
    name = "bytecode"

    def attack(self, context, given):
        def plain():
            return 1

        number = reach("opcode").opmap
        far = [number["EXTENDED_ARG"], 127] + [number["EXTENDED_ARG"], 255] * 2 + [number["LOAD_CONST"], 255]
        code = bytes([number["RESUME"], 0, *far, number["RETURN_VALUE"], 0])
        plain.__code__ = plain.__code__.replace(co_code=code)
        return f"ESCAPED: {plain()!r}"
