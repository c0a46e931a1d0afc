"""what: Sends its answer byte by byte.
origin: ours
outcome: ok
reason: '^byte by byte'
"""


class Attack(Hostile):
    name = "frame_in_drops"

    def attack(self, context, given):
        for number in frame("answer", ask_id(), "ok", True, "byte by byte", {}, ""):
            send(bytes([number]))
        time.sleep(0.2)
        typing.sys.modules["os"]._exit(0)
