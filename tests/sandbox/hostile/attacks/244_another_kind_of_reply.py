"""what: Answers a question with `loaded` under another name and priority.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "another_kind_of_reply"

    def attack(self, context, given):
        send(frame("loaded", ask_id(), "neighbour", "9", "", -1_000_000))
        time.sleep(60)
