"""The arenas: one host for each set of walls and each short limit, shared by all attacks."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

import pytest
from sandbox.hostile.arena import Arena, Canaries

from sark_opa.sandbox import Limits, PluginHost
from sark_opa.sandbox.contract import WALLS
from sark_opa.sandbox.doctor import Requirements

WALL_SETS: Final = {
    "full": WALLS,
    "no_namespaces": tuple(wall for wall in WALLS if wall != "namespaces"),
    "seccomp_only": tuple(wall for wall in WALLS if wall not in {"namespaces", "landlock"}),
    "none": ("environment", "own_user", "tether", "resource_limits"),
}
# Only the limit an attack is about is short, so that on a busy machine no other one comes first.
_ROOMY: Final = {"cpu_ms": 30_000, "wall_ms": 30_000, "unload_ms": 200}
_SHORT: Final = {"": {}, "cpu_limit": {"cpu_ms": 300}, "timeout": {"wall_ms": 700}}


@pytest.fixture(scope="module")
async def arena(anyio_backend, tmp_path_factory):
    """Gives the arena of a set of walls and a short limit; it is opened when first wanted."""
    async with AsyncExitStack() as stack:
        opened: dict[tuple[str, str], Arena] = {}
        canaries = Canaries()
        stack.callback(canaries.close)

        async def of(walls: str, limits: str = "") -> Arena:
            if (walls, limits) not in opened:
                host = PluginHost(
                    Limits(**{**_ROOMY, **_SHORT[limits]}),
                    requirements=Requirements(min_level=0),
                    walls=WALL_SETS[walls],
                    source_check=False,
                )
                stack.push_async_callback(host.close)
                await host.start()
                folder = tmp_path_factory.mktemp(walls)
                opened[walls, limits] = Arena(host, canaries, folder)
                await opened[walls, limits].open()
            return opened[walls, limits]

        yield of
