"""what: Adds an audit hook that raises at everything, and can never be removed.
origin: ours
outcome: ok
reason: '^hooked'
"""


class Attack(Hostile):
    name = "audit_hook"

    def attack(self, context, given):
        def hook(event, arguments):
            if event != "sys.addaudithook":
                raise RuntimeError(event)

        typing.sys.addaudithook(hook)
        return "hooked"
