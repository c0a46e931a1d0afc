"""what: Logs a hundred thousand lines.
origin: ours
outcome: ok
reason: '^logged'
"""


class Attack(Hostile):
    name = "logs_without_end"

    def attack(self, context, given):
        import logging

        for number in range(20_000):
            logging.getLogger("sark_opa").warning('line %s\r\n{"level": "critical"}\x1b[2J', number)
        return "logged"
