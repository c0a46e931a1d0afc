"""what: Reports as the canary that every wall stands.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "proves_the_walls"

    def attack(self, context, given):
        send(frame("probed", ask_id(), [["read_file", True, "ESCAPED"]]))

        time.sleep(60)
