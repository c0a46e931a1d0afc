"""what: Moves the service's pages about.
origin: ours
outcome: violation
reason: SIGSYS
"""


class Attack(Hostile):
    name = "pages_to_another_node"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('migrate_pages', given['service_pid'], 8, bytes(8), bytes(8))}"
