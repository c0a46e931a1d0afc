"""The walls around a plugin, put up one after the other inside its process before the plugin is in it.

Each is made once in the zygote, where preparing it may cost something, and applied in every child. One that cannot
stand says why and is reported as inactive; whether plugins may run without it is the service's decision
(`sark_opa.sandbox.doctor`), never the wall's.
"""

from __future__ import annotations

from sark_opa.sandbox.contract import LayerReport
from sark_opa.sandbox.guest.walls.basic import Environment, Layer, LayerError, OwnUser, ResourceLimits, Tether
from sark_opa.sandbox.guest.walls.landlock import Landlock
from sark_opa.sandbox.guest.walls.namespaces import Namespaces
from sark_opa.sandbox.guest.walls.seccomp import Seccomp
from sark_opa.sandbox.zygote_protocol import Configure, Spawn

__all__ = ["LayerError", "Walls"]


class Walls:
    """All of them, as the service wants them; made in the zygote, before its first child.

    Attributes:
        keeper: a process of the zygote's that is no plugin's; None without namespaces.
        namespaces_trouble: why there are no namespaces; empty where there are.
    """

    def __init__(self, configure: Configure) -> None:
        tether, namespaces = Tether(), Namespaces(inside=configure.inside)
        if namespaces.name in configure.walls and not configure.inside:
            namespaces.enter()
        self.keeper = namespaces.keeper
        self.namespaces_trouble = namespaces.trouble
        if self.keeper is not None:
            tether.parent_pid = 0
        # Users change while that is still allowed; the file system goes before the calls that could close it.
        self._layers: tuple[Layer, ...] = (
            Environment(),
            OwnUser(),
            tether,
            ResourceLimits(),
            namespaces,
            Landlock(),
            Seccomp(configure.filter, configure.filter_trouble),
        )
        self._wanted = frozenset(configure.walls)

    def put_up(self, spawn: Spawn) -> tuple[LayerReport, ...]:
        """Put up every wall that is wanted, in the child, and tell of each whether it stands."""
        wanted = self._wanted if spawn.walls is None else self._wanted.intersection(spawn.walls)
        return tuple(_put_up(layer, spawn) if layer.name in wanted else _left_out(layer) for layer in self._layers)


def _put_up(layer: Layer, spawn: Spawn) -> LayerReport:
    try:
        layer.apply(spawn)
    except (LayerError, OSError, ValueError) as error:
        return LayerReport(layer.name, active=False, reason=str(error)[:200])
    return LayerReport(layer.name, active=True)


def _left_out(layer: Layer) -> LayerReport:
    return LayerReport(layer.name, active=False, reason="left out")
