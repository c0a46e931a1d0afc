"""what: Makes an interpreter of its own inside its process, without the worker's patches.
origin: ours
outcome: timeout
reason: time limit
"""


class Attack(Hostile):
    name = "other_interpreter"

    def attack(self, context, given):
        ctypes = reach("ctypes")
        ctypes.pythonapi.Py_NewInterpreter.restype = ctypes.c_void_p
        ctypes.pythonapi.Py_NewInterpreter()
        text = f"open({given['file']!r}).read()".encode()
        failed = ctypes.pythonapi.PyRun_SimpleString(text)
        return f"refused: {failed}" if failed else "ESCAPED: read in another interpreter"
