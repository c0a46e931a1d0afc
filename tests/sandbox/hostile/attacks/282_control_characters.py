"""what: Puts terminal escapes and line breaks into its reason and output.
origin: ours
outcome: ok
reason: all is well
"""


class Attack(Hostile):
    name = "control_characters"

    async def evaluate(self, context):
        return (
            print("\x1b[2J\x1b]0;ESC\x07"),
            PolicyDecision(True, '\x1b[2J\x1b[31mall is well\r\n{"level": "info"}\x00'),
        )[1]
