"""what: Is a plugin by a metaclass that answers every question about it.
origin: ours
outcome: load_error
reason: one plugin a file
"""


class Any(type(PolicyPlugin)):
    def __instancecheck__(cls, thing):
        return True

    def __subclasscheck__(cls, kind):
        return True

    def __getattribute__(cls, name):
        return super().__getattribute__(name)


class Base(PolicyPlugin, metaclass=Any):
    pass


class Attack(Hostile):
    name = "abstract_from_below"

    def attack(self, context, given):
        return "loaded"
