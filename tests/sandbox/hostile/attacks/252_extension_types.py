"""what: Puts a timestamp and unknown extensions into metadata on the wire.
origin: ours
outcome: violation
reason: sandbox violation
"""


class Attack(Hostile):
    name = "extension_types"

    def attack(self, context, given):
        msgspec = reach("msgspec")
        send(frame("answer", ask_id(), "ok", True, "ESCAPED", {"a": msgspec.msgpack.Ext(5, b"x")}, ""))
        time.sleep(60)
