"""Loading, listing, replacing and unloading plugins."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import pytest
from fixtures.plugins import ask, processes_below, processes_of, processes_settle_at, source_of

from sark_opa.bundled import folder
from sark_opa.errors import NotFoundError, PluginError, UnavailableError
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.contract import WALLS

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
DENY = "return PolicyDecision(False, 'no')"


async def test_a_single_file_is_a_plugin(host, write_plugin):
    """A file says itself what it is called, and its digest is that of its text."""
    path = write_plugin("return PolicyDecision(True, f'hello {context.principal_id}', {'calls': self.calls})")
    info = await host.load(path)
    assert (info.name, info.version, info.priority, info.needs, info.state) == ("written", "1.0.0", 100, (), "running")
    assert info.source_digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    (first,), (second,) = await ask(host), await ask(host)
    assert (first.plugin, first.version, first.allowed, first.status) == ("written", "1.0.0", True, "ok")
    assert (first.reason, first.metadata, second.metadata) == ("hello user-1", {"calls": 1}, {"calls": 2})
    assert not first.skipped
    assert first.elapsed_ms > 0


async def test_a_manifest_goes_over_what_the_plugin_says(host, write_plugin):
    """Priority and description of plugin.yaml win; the operator's config goes over the manifest's."""
    path = write_plugin("return PolicyDecision(True, repr(self.config))", on_error="skip", config={"a": 1, "b": 2})
    manifest = path / "plugin.yaml"
    manifest.write_text(manifest.read_text() + "priority: 7\n")
    info = await host.load(path, config={"b": 3})
    assert (info.description, info.priority, info.on_error) == ("Written for a test.", 7, "skip")
    (verdict,) = await ask(host)
    assert verdict.reason == "{'a': 1, 'b': 3}"


async def test_bundled_plugins_load_with_their_defaults(host):
    """All three load beside each other and are listed by priority."""
    for name in ("cost_aware", "rate_limit", "business_hours"):
        await host.load(folder("plugins") / name)
    listed = host.plugins()
    assert [plugin.name for plugin in listed] == ["business_hours", "rate_limit", "cost_aware"]
    assert [plugin.needs for plugin in listed] == [(), ("rate_window", "host_load"), ("budget_status",)]


async def test_loading_again_replaces_the_plugin_and_its_state(host, write_plugin):
    """The same path loaded again gives the new version, in a process of its own, and one plugin only."""
    await host.load(write_plugin("return PolicyDecision(True, 'old')"))
    await host.load(write_plugin("return PolicyDecision(True, 'new')"))
    assert len(host.plugins()) == 1
    assert [verdict.reason for verdict in await ask(host)] == ["new"]
    await processes_of(host, 1)


async def test_a_version_that_does_not_load_replaces_nothing(host, write_plugin):
    """The plugin that runs goes on, with what it remembers."""
    path = write_plugin("return PolicyDecision(True, str(self.calls))")
    before = await host.load(path)
    await ask(host)
    path.write_text("class Broken(:\n")
    with pytest.raises(PluginError, match=r"written\.py:1: syntax error"):
        await host.load(path)
    assert host.plugins() == (before,)
    assert [verdict.reason for verdict in await ask(host)] == ["2"]


async def test_questions_asked_during_a_replacement_are_all_answered(host, write_plugin):
    """A stream of questions across ten replacements meets no failure, only the old or the new version."""
    path = write_plugin(ALLOW)
    await host.load(path)
    done = asyncio.Event()

    async def stream() -> set[tuple[str, str]]:
        seen = set()
        while not done.is_set():
            seen |= {(verdict.status, verdict.reason) for verdict in await ask(host)}
        return seen

    streams = [asyncio.create_task(stream()) for _ in range(8)]
    for version in range(10):
        await host.load(write_plugin(f"await asyncio.sleep(0.005)\nreturn PolicyDecision(True, 'version {version}')"))
    done.set()
    seen = set().union(*await asyncio.gather(*streams))
    assert {status for status, _ in seen} == {"ok"}
    assert ("ok", "version 8") in seen


async def test_a_name_can_be_taken_once(host, write_plugin, tmp_path):
    """Another file with the name of a loaded plugin is refused, and both paths are named."""
    first = write_plugin(ALLOW)
    await host.load(first)
    second = tmp_path / "second.py"
    second.write_text(source_of(DENY))
    with pytest.raises(PluginError, match=r"second\.py: a plugin named written is loaded from .*written\.py; unload"):
        await host.load(second)
    assert [verdict.allowed for verdict in await ask(host)] == [True]
    await processes_of(host, 1)


async def test_an_unloaded_plugin_is_asked_no_more(host, write_plugin):
    """Its process ends and its name is free again."""
    await host.load(write_plugin(DENY))
    await host.unload("written")
    assert await ask(host) == ()
    assert host.plugins() == ()
    with pytest.raises(NotFoundError, match="no plugin named written"):
        await host.unload("written")


async def test_unloading_answers_what_was_asked_before(host, write_plugin):
    """A question in the process when the plugin is unloaded still gets its own answer."""
    await host.load(write_plugin("await asyncio.sleep(0.2)\nreturn PolicyDecision(True, 'slow')"))
    asked = asyncio.create_task(ask(host))
    await asyncio.sleep(0.05)
    await host.unload("written")
    assert [verdict.reason for verdict in await asked] == ["slow"]


async def test_on_unload_may_hang_but_not_for_long(host, tmp_path):
    """A plugin that never unloads is killed after a second, and the service goes on meanwhile."""
    path = tmp_path / "hangs.py"
    path.write_text(
        source_of(ALLOW, name="hangs") + "\n    async def on_unload(self):\n        await asyncio.sleep(60)\n"
    )
    await host.load(path)
    started = asyncio.get_running_loop().time()
    await host.unload("hangs")
    assert asyncio.get_running_loop().time() - started < 4
    await host.ping()


async def test_every_wall_is_told(host):
    """The host says of each wall whether it stands, and those without which no plugin runs do."""
    layers = host.sandbox()["layers"]
    assert set(WALLS) <= set(layers)
    assert [name for name in ("environment", "resource_limits", "seccomp") if not layers[name]["active"]] == []


async def test_a_closed_host_leaves_nothing(write_plugin):
    """Closing ends the zygote and every plugin, and nothing can be loaded afterwards."""
    host = PluginHost()
    await host.start()
    await host.load(write_plugin(ALLOW))
    await processes_of(host, 1)
    await host.close()
    await processes_settle_at(0)
    with pytest.raises(UnavailableError, match="closed"):
        await host.load(write_plugin(ALLOW))


async def test_an_operator_is_told_what_is_wrong_with_a_path(host, tmp_path):
    """A path that is no plugin is named."""
    with pytest.raises(
        PluginError, match=r"nowhere: it is neither a folder with a plugin\.yaml nor a \.py or \.sarkplugin file"
    ):
        await host.load(tmp_path / "nowhere")
    with pytest.raises(PluginError, match="is neither"):
        await host.load(Path("/etc/hostname"))


async def test_the_zygote_may_be_killed(host, write_plugin):
    """Its children go with it; a new one is started, plugins come back, and readiness says so."""
    await host.load(write_plugin("return PolicyDecision(True, str(self.calls))"))
    zygote = processes_below()[0]
    os.kill(zygote.pid, signal.SIGKILL)
    verdicts = [await ask(host) for _ in range(20)]
    assert verdicts[-1][0].status == "ok"
    await host.ping()
    await processes_of(host, 1)
