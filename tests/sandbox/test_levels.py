"""Levels of the sandbox, found by what the canary gets through with, and what is required of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.plugins import ask, source_of

import sark_opa
from sark_opa.errors import SandboxError
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.contract import WALLS
from sark_opa.sandbox.doctor import PROOFS, Requirements
from sark_opa.sandbox.guest import canary

KERNEL_WALLS = ("seccomp", "landlock", "namespaces")
LOOK = """
import asyncio
from sark_opa.sandbox import PluginHost

async def main():
    host = PluginHost()
    await host.start()
    print([name for name, layer in host.sandbox()["layers"].items() if layer["active"]])
    await host.close()

asyncio.run(main())
"""


@pytest.fixture(scope="module", autouse=True)
def _all_walls() -> None:
    """These tests are about machines that have every wall; on others they say which one is missing."""
    found = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    missing = [name for name in KERNEL_WALLS if f"'{name}'" not in found.stdout]
    if missing:
        pytest.skip(f"this machine has no {', '.join(missing)}")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("left_out", "level"),
    [((), 4), (("namespaces",), 3), (("namespaces", "landlock"), 2), (("seccomp",), 1), (("resource_limits",), None)],
)
async def test_the_level_follows_from_the_walls(left_out, level, anyio_backend):
    """Each wall that is left out is told, and lowers the level; without limits nothing is forked at all."""
    host = PluginHost(walls=[wall for wall in WALLS if wall not in left_out])
    try:
        if level is None:
            with pytest.raises(Exception, match="resource_limits cannot be had: left out"):
                await host.start()
            return
        await host.start()
        report = host.sandbox()
    finally:
        await host.close()
    assert report["level"] == level
    for name in KERNEL_WALLS:
        assert report["layers"][name]["active"] is (name not in left_out)
    if level >= 2:
        assert all(act["prevented"] for act in report["canary"].values())
    else:
        assert report["canary"]["stat_file"]["prevented"] is True  # the root is empty
        assert report["canary"]["memfd"]["prevented"] is False
        assert report["canary"]["executable_memory"]["detail"] == "made executable memory"


@pytest.mark.anyio
async def test_a_wall_that_prevents_nothing_does_not_count(monkeypatch, anyio_backend):
    """What the kernel accepted is no evidence: an act that gets through takes the wall's name off the list."""
    monkeypatch.setitem(PROOFS, "landlock", ("huge_memory", "memfd"))  # Landlock stands, and stops no memfd
    host = PluginHost()
    try:
        await host.start()
        report = host.sandbox()
    finally:
        await host.close()
    assert report["layers"]["landlock"] == {
        "active": False,
        "reason": "the canary got through: memfd: made a file in memory",
    }
    assert report["level"] == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("left_out", "requirements", "told"),
    [
        (("seccomp",), Requirements(), "SARK_SANDBOX_MIN_LEVEL is 2, here it is 1): seccomp: left out"),
        (
            ("namespaces",),
            Requirements(min_level=4),
            "SARK_SANDBOX_MIN_LEVEL is 4, here it is 3): namespaces: left out",
        ),
        (("landlock",), Requirements(layers=("landlock",)), "(SARK_SANDBOX_REQUIRE): landlock: left out"),
    ],
)
async def test_too_little_refuses_to_load(left_out, requirements, told, write_plugin, anyio_backend):
    """The error says what is required, which layer is missing and why; nothing is loaded."""
    host = PluginHost(walls=[wall for wall in WALLS if wall not in left_out], requirements=requirements)
    try:
        await host.start()
        with pytest.raises(SandboxError) as refused:
            await host.load(write_plugin("return PolicyDecision(True, '')"))
        assert told in refused.value.message
        assert host.plugins() == ()
    finally:
        await host.close()


@pytest.mark.anyio
async def test_enough_loads(write_plugin, anyio_backend):
    """A lower level that the operator accepts."""
    host = PluginHost(
        walls=[wall for wall in WALLS if wall not in KERNEL_WALLS], requirements=Requirements(min_level=1)
    )
    try:
        await host.start()
        await host.load(write_plugin("return PolicyDecision(True, 'here')"))
        (verdict,) = await ask(host)
        assert verdict.reason == "here"
    finally:
        await host.close()


def test_every_act_of_a_proof_exists():
    """A misspelt act would end the canary's process and look like a wall."""
    assert {act for acts in PROOFS.values() for act in acts} <= set(canary.ACTS)


SERVICE = """
import asyncio, json, os, sys
from datetime import UTC, datetime
from pathlib import Path
from sark_opa.sandbox import PluginHost, Question

if len(sys.argv) > 2:
    import errno, pyseccomp
    # As container runtimes' profiles do: whoever asks for namespaces is told that he may not.
    profile = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    profile.add_rule(refuse, "unshare")
    if "--no-namespaces" in sys.argv:
        profile.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 0x10000000, 0x10000000))
    profile.load()

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
    print(json.dumps({"uid": os.getuid(), "sandbox": host.sandbox(), "status": verdict.status, "said": verdict.reason}))

asyncio.run(main())
"""
TRIES = """
tried = []
for act in ("fork()", "listdir('/')", "kill(1, 9)"):
    try:
        eval("reach('os')." + act, {"reach": reach})
        tried.append(act)
    except OSError: pass
return PolicyDecision(not tried, f"got through with {tried}")
""".replace("eval(", "vars(reach('builtins'))['ev' + 'al'](")


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


def _run(interpreter: str, plugin: Path, *options: str, **user: Any) -> dict[str, Any]:
    search = os.pathsep.join([str(Path(sark_opa.__file__).parent.parent), sysconfig.get_path("purelib")])
    environment = {"PYTHONPATH": search, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        [interpreter, "-c", SERVICE, str(plugin), *options],
        cwd="/", env=environment, capture_output=True, text=True, check=False, **user,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else; other runs are unprivileged anyway")
@pytest.mark.parametrize(("option", "level"), [((), 4), (("--no-namespaces",), 3)])
def test_a_service_needs_no_privilege(option, level, everybodys):
    """As an ordinary user all layers but the plugins' own users stand, and what they prevent is prevented."""
    uid = 61_000
    interpreter = _interpreter_for(uid)
    if interpreter is None:
        pytest.skip("no interpreter here that another user may execute")
    plugin = everybodys / "plugin.py"
    plugin.write_text(source_of(TRIES))
    found = _run(interpreter, plugin, *option, user=uid, group=uid, extra_groups=[])
    assert (found["uid"], found["status"], found["said"]) == (uid, "ok", "got through with []")
    assert found["sandbox"]["level"] == level
    layers = found["sandbox"]["layers"]
    assert layers["own_user"]["reason"].startswith("the service does not run as root")
    assert [name for name in KERNEL_WALLS if layers[name]["active"]] == ["seccomp", "landlock", "namespaces"][
        : level - 1
    ]


def test_a_container_that_forbids_user_namespaces(tmp_path):
    """There the level is 3, the reason is the kernel's own, and plugins run."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(source_of(TRIES))
    found = _run(sys.executable, plugin, "--no-namespaces")
    assert (found["status"], found["said"]) == ("ok", "got through with []")
    assert found["sandbox"]["level"] == 3
    assert found["sandbox"]["layers"]["namespaces"] == {
        "active": False,
        "reason": "[Errno 1] unshare: Operation not permitted; a container's profile or the distribution may forbid "
        "user namespaces",
    }


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_bubblewrap_where_it_alone_may(tmp_path):
    """Some distributions let known programs alone make user namespaces: then the zygote runs inside bubblewrap."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(source_of(TRIES))
    found = _run(sys.executable, plugin, "--no-unshare")
    assert (found["status"], found["said"]) == ("ok", "got through with []")
    assert found["sandbox"]["level"] == 4
    assert found["sandbox"]["layers"]["namespaces"] == {"active": True, "reason": ""}
