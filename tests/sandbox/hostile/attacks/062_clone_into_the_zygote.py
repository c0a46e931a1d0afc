"""what: 'Makes a sibling of itself that nobody watches: CLONE_PARENT and CLONE_UNTRACED.'
origin: ours
outcome: error
reason: raised PermissionError
"""


class Attack(Hostile):
    name = "clone_into_the_zygote"

    def attack(self, context, given):
        return f"ESCAPED: process {syscall('clone', 0x00808000 | 17, 0, 0, 0, 0)}"
