"""what: Has the fault handler write to its connection after a delay.
origin: ours
outcome: error
reason: raised
"""


class Attack(Hostile):
    name = "fault_handler"

    def attack(self, context, given):
        spec = reach("importlib.machinery").ModuleSpec("faulthandler", None)
        faulthandler = reach("_imp").create_builtin(spec)
        reach("_imp").exec_builtin(faulthandler)
        faulthandler.dump_traceback_later(0.01, repeat=True, file=3)
        return "ESCAPED: a watchdog thread writes into the protocol"
