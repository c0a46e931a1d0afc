"""The walls, looked at from inside the process they stand around."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.plugins import ask, processes_below, question, source_of

import sark_opa
from sark_opa.sandbox.contract import LayerReport, Limits
from sark_opa.sandbox.guest.walls.basic import UID_COUNT, UID_FIRST, LayerError, apply_all
from sark_opa.sandbox.protocol import Spawn

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


@pytest.mark.anyio
async def test_a_process_has_nothing_it_does_not_need(host, write_plugin):
    """No environment, three descriptors that lead nowhere and its connection, limits, a user of its own."""
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
async def test_the_service_s_code_is_not_in_the_process(host, write_plugin):
    """Of the product only the plugin's API and the process's own side are loaded."""
    await host.load(write_plugin(INSIDE))
    (verdict,) = await ask(host)
    assert verdict.metadata["service"] == [
        "sark_opa",
        "sark_opa.plugin",
        *(
            f"sark_opa.sandbox{name}"
            for name in (
                "", ".contract", ".guest", ".guest.allowlist", ".guest.check", ".guest.eventloop", ".guest.loading",
                ".guest.walls", ".guest.walls.basic", ".guest.worker", ".guest.zygote", ".protocol",
            )
        ),
    ]  # fmt: skip


@pytest.mark.anyio
@pytest.mark.skipif(os.getuid() != 0, reason="only a service that runs as root gives each plugin its own user")
async def test_plugins_run_as_different_users(host, write_plugin):
    """So one cannot signal another; nor can it signal the zygote or the service."""
    await host.load(write_plugin("return PolicyDecision(True, '')", name="victim", priority=200))
    victim = max(processes_below(), key=lambda process: process.pid)
    body = f"o = reach('os')\ntry: o.kill(int(context.principal_id), 9)\nexcept PermissionError: pass\n{INSIDE}"
    await host.load(write_plugin(body, name="killer"))
    for pid in (victim.pid, os.getpid(), victim.ppid()):
        killer, spared = await ask(host, question(str(pid)))
        assert (killer.status, spared.status) == ("ok", "ok")
    users = {process.uids().real for process in processes_below()}
    assert len(users) == 3


def test_a_layer_that_cannot_stand_is_told_with_the_reason():
    """An inactive layer names why; those after it are still put up."""

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

    spawn = Spawn(1, Limits())
    reports = apply_all((Falling(LayerError("no such kernel")), Falling(PermissionError(1, "no")), Standing()), spawn)
    assert reports == (
        LayerReport("falling", active=False, reason="no such kernel"),
        LayerReport("falling", active=False, reason="[Errno 1] no"),
        LayerReport("standing", active=True),
    )


UNPRIVILEGED = """
import asyncio, json, os, sys
from datetime import UTC, datetime
from pathlib import Path
from sark_opa.sandbox import PluginHost, Question

async def facts(need):
    raise AssertionError

async def main():
    host = PluginHost()
    await host.start()
    await host.load(Path(sys.argv[1]))
    question = Question(principal_id="u", resource_id="r", capability_id="c", action="invoke", arguments={},
                        environment={}, timestamp=datetime.now(UTC))
    (verdict,) = await host.evaluate(question, deadline_s=30, facts=facts)
    await host.close()
    print(json.dumps({"uid": os.getuid(), "layers": host.layers(), "status": verdict.status, "said": verdict.reason}))

asyncio.run(main())
"""


def _interpreter_for(uid: int) -> str | None:
    """An interpreter of this version that another user may execute."""
    names = (
        sys.executable,
        f"/usr/bin/python3.{sys.version_info.minor}",
        f"/usr/local/bin/python3.{sys.version_info.minor}",
    )
    for name in names:
        try:
            subprocess.run([name, "-c", ""], check=True, user=uid, group=uid, cwd="/", capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return name
    return None


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder every user may read; pytest's own are private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else; other runs are unprivileged anyway")
def test_a_service_needs_no_privilege(everybodys):
    """As an ordinary user plugins run as that user, which the report says, and cannot fork."""
    uid = 61_000
    interpreter = _interpreter_for(uid)
    if interpreter is None:
        pytest.skip("no interpreter here that another user may execute")
    plugin = everybodys / "plugin.py"
    plugin.write_text(
        source_of(
            "try: reach('os').fork()\nexcept BlockingIOError: return PolicyDecision(True, str(reach('os').getuid()))"
        )
    )
    search = os.pathsep.join([str(Path(sark_opa.__file__).parent.parent), sysconfig.get_path("purelib")])
    answer = subprocess.run(
        [interpreter, "-c", UNPRIVILEGED, str(plugin)],
        user=uid, group=uid, extra_groups=[], cwd="/", env={"PYTHONPATH": search}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert '"status": "ok", "said": "61000"' in answer.stdout
    assert '"own_user": {"active": false, "reason": "the service does not run as root' in answer.stdout
    assert '"resource_limits": {"active": true' in answer.stdout
