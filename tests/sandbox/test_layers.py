"""The walls, looked at from inside the process they stand around."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from fixtures.plugins import ask, processes_of, question

from sark_opa.sandbox import Limits, PluginHost
from sark_opa.sandbox.contract import LayerReport
from sark_opa.sandbox.doctor import Requirements
from sark_opa.sandbox.guest.walls import LayerError, Walls
from sark_opa.sandbox.guest.walls.basic import UID_COUNT, UID_FIRST
from sark_opa.sandbox.zygote_protocol import Configure, Spawn

INSIDE = """
r, o = reach("resource"), reach("os")
return PolicyDecision(True, "", {
    "environment": dict(o.environ),
    "descriptors": sorted(int(name) for name in o.listdir("/proc/self/fd")),
    "standard": [o.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
    "limits": {kind: list(r.getrlimit(getattr(r, "RLIMIT_" + kind)))
               for kind in ("AS", "NOFILE", "NPROC", "CORE", "FSIZE", "CPU")},
    "user": [*o.getresuid(), *o.getresgid(), o.getgroups()],
    "folder": o.getcwd(),
    "service": sorted(name for name in reach("sys").modules if name.startswith("sark_opa")),
    "path": reach("sys").path,
})
"""


@pytest.fixture
async def bare_host(anyio_backend: str) -> AsyncIterator[PluginHost]:
    """A host whose plugins can look around: without the walls that would keep them from it."""
    walls = ("environment", "own_user", "tether", "resource_limits")
    host = PluginHost(walls=walls, requirements=Requirements(min_level=1))
    try:
        await host.start()
        yield host
    finally:
        await host.close()


@pytest.mark.anyio
async def test_a_process_has_nothing_it_does_not_need(bare_host, write_plugin):
    """No environment, three descriptors that lead nowhere and its connection, limits, a user of its own."""
    host = bare_host
    await host.load(write_plugin(INSIDE))
    (verdict,) = await ask(host)
    seen = verdict.metadata
    limits = Limits()
    assert seen["environment"] == {}
    assert seen["descriptors"] == [0, 1, 2, 3, 4]  # 4 is the listing itself
    assert seen["standard"] == ["/dev/null"] * 3
    assert seen["limits"] == {
        "AS": [limits.memory_bytes_max] * 2,
        "NOFILE": [10, 10],
        "NPROC": [0, 0],
        "CORE": [0, 0],
        "FSIZE": [0, 0],
        "CPU": [limits.cpu_lifetime_s, limits.cpu_lifetime_s + 1],
    }
    assert seen["folder"] == "/"
    assert seen["path"] == []
    if os.getuid() == 0:
        uid = seen["user"][0]
        assert uid in range(UID_FIRST, UID_FIRST + UID_COUNT)
        assert seen["user"] == [uid] * 6 + [[]]


@pytest.mark.anyio
async def test_the_service_s_code_is_not_in_the_process(bare_host, write_plugin):
    """Of the product only the plugin's API and the process's own side are loaded."""
    await bare_host.load(write_plugin(INSIDE))
    (verdict,) = await ask(bare_host)
    assert verdict.metadata["service"] == [
        "sark_opa",
        "sark_opa.plugin",
        *(
            f"sark_opa.sandbox{name}"
            for name in (
                "", ".calls", ".contract", ".guest", ".guest.allowlist", ".guest.calls", ".guest.canary",
                ".guest.check", ".guest.decision", ".guest.eventloop", ".guest.loading", ".guest.methods",
                ".guest.output", ".guest.walls", ".guest.walls.basic", ".guest.walls.landlock",
                ".guest.walls.namespaces", ".guest.walls.seccomp", ".guest.worker", ".guest.zygote", ".looking",
                ".protocol", ".zygote_protocol",
            )
        ),
    ]  # fmt: skip


@pytest.mark.anyio
@pytest.mark.skipif(os.getuid() != 0, reason="only a service that runs as root gives each plugin its own user")
async def test_plugins_run_as_different_users(bare_host, write_plugin):
    """So one cannot signal another; nor can it signal the zygote or the service."""
    await bare_host.load(write_plugin("return PolicyDecision(True, '')", name="victim", priority=200))
    (victim,) = await processes_of(bare_host, 1)
    body = f"o = reach('os')\ntry: o.kill(int(context.principal_id), 9)\nexcept PermissionError: pass\n{INSIDE}"
    await bare_host.load(write_plugin(body, name="killer"))
    for pid in (victim.pid, os.getpid(), victim.ppid()):
        killer, spared = await ask(bare_host, question(str(pid)))
        assert (killer.status, spared.status) == ("ok", "ok")
    users = {process.uids().real for process in await processes_of(bare_host, 2)}
    assert len(users) == 2


def test_a_layer_that_cannot_stand_is_told_with_the_reason():
    """An inactive layer names why; those after it are still put up; one that is not wanted is left out."""

    class Standing:
        name = "standing"

        def apply(self, spawn: Spawn) -> None:
            assert spawn.serial == 1

    class Falling:
        name = "falling"

        def __init__(self, error: Exception) -> None:
            self._error = error

        def apply(self, spawn: Spawn) -> None:
            assert spawn.serial == 1
            raise self._error

    class Unwanted:
        name = "unwanted"

        def apply(self, _: Spawn) -> None:
            raise AssertionError("it was not asked for")

    walls = Walls(Configure((), b""))
    walls._wanted = frozenset({"standing", "falling"})
    walls._layers = (
        Falling(LayerError("no such kernel")), Falling(PermissionError(1, "no")), Unwanted(), Standing()
    )  # fmt: skip
    assert walls.put_up(Spawn(1, Limits())) == (
        LayerReport("falling", active=False, reason="no such kernel"),
        LayerReport("falling", active=False, reason="[Errno 1] no"),
        LayerReport("unwanted", active=False, reason="left out"),
        LayerReport("standing", active=True),
    )


@pytest.mark.anyio
async def test_behind_all_walls_there_is_nothing_to_see(host, write_plugin):
    """No file, no folder, no process, no user, no limit can be asked for."""
    looks = ("listdir('/')", "stat('/')", "getcwd()", "getppid()", "getuid()", "uname()", "readlink('/proc/self/exe')")
    for number, look in enumerate(looks):
        body = f"""
        try: seen = reach("os").{look}
        except OSError as error: return PolicyDecision(True, type(error).__name__)
        return PolicyDecision(False, f"saw {{seen!r}}")
        """
        info = await host.load(write_plugin(body, name=f"looks_{number}"))
        (verdict,) = await ask(host)
        assert verdict.reason in {"PermissionError", "saw -1", "saw 4294967295"}, look
        await host.unload(info.name)
