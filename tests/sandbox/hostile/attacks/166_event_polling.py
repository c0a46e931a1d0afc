"""what: Makes polling and event descriptors.
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "event_polling"

    def attack(self, context, given):
        return f"ESCAPED: {syscall('epoll_create1', 0)} {syscall('eventfd2', 0, 0)}"
