"""what: Gives a subclass of str whose encoding is another text.
origin: ours
outcome: error
reason: reason is a Text
"""


class Text(str):
    def encode(self, *arguments):
        return b"ESCAPED" * 100_000

    def __len__(self):
        return 1


class Attack(Hostile):
    name = "evil_text"

    async def evaluate(self, context):
        return PolicyDecision(True, Text("fine"))
