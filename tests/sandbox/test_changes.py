"""Plugins come, go, are switched and replaced while questions are asked: each question meets one whole set."""

from __future__ import annotations

import asyncio
import random

import pytest
from fixtures.objects import Registered, allow, show
from fixtures.plugins import ask, processes_of, question, source_of

from sark_opa.errors import ConflictError, NotFoundError, PluginError
from sark_opa.plugin import PolicyContext, PolicyDecision
from sark_opa.sandbox import PluginHost, Verdict
from sark_opa.sandbox.packages import manifest

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, str(self.calls))"


class Traffic:
    """Questions without a pause until told to stop; keeps who answered each, and how."""

    def __init__(self, host: PluginHost, streams: int = 6) -> None:
        self.sets: set[tuple[str, ...]] = set()
        self.statuses: set[str] = set()
        self.questions = 0
        self._host = host
        self._done = False
        self._streams = [asyncio.create_task(self._stream(number)) for number in range(streams)]

    async def _stream(self, number: int) -> None:
        while not self._done:
            name = f"{number}-{self.questions}"
            self.questions += 1
            verdicts = await ask(self._host, question(name))
            self._look(name, verdicts)
            await asyncio.sleep(0)  # without plugins nobody else would get a turn

    def _look(self, name: str, verdicts: tuple[Verdict, ...]) -> None:
        self.sets.add(tuple(verdict.plugin for verdict in verdicts))
        self.statuses |= {verdict.status for verdict in verdicts}
        assert {verdict.metadata.get("to", name) for verdict in verdicts} <= {name}

    async def stop(self) -> None:
        self._done = True
        await asyncio.gather(*self._streams)


ECHO = "await asyncio.sleep(0.001)\nreturn PolicyDecision(True, '', {'to': context.principal_id})"


async def _echo(context: PolicyContext) -> PolicyDecision:
    await asyncio.sleep(0.001)
    return PolicyDecision(allowed=True, reason="", metadata={"to": context.principal_id})


async def test_a_disabled_plugin_keeps_what_it_remembers(host, write_plugin):
    """It is not asked and its process stays; enabled again, it goes on where it was."""
    path = write_plugin(ALLOW)
    assert (await host.load(path, enabled=False)).enabled is False
    assert await ask(host) == ()
    assert (await host.enable("written")).enabled is True
    assert [verdict.reason for verdict in await ask(host)] == ["1"]
    assert (await host.disable("written")).enabled is False
    (process,) = await processes_of(host, 1)
    assert await ask(host) == ()
    await host.enable("written")
    assert [verdict.reason for verdict in await ask(host)] == ["2"]
    assert await processes_of(host, 1) == [process]


async def test_disabled_ones_are_listed_last(shared_host, write_plugin):
    """The list starts with the order asked."""
    for name, priority, enabled in (("c", 1, True), ("b", 0, False), ("a", 2, True), ("d", -1, False)):
        await shared_host.load(write_plugin(ALLOW, name=name, priority=priority), enabled=enabled)
    assert [(plugin.name, plugin.enabled) for plugin in shared_host.plugins()] == [
        ("c", True), ("a", True), ("d", False), ("b", False),
    ]  # fmt: skip


async def test_an_unknown_name_is_an_error(shared_host):
    """For every change there is."""
    host = shared_host
    for change in (host.enable, host.disable, host.unload, host.reload, host.release):
        with pytest.raises(NotFoundError, match="no plugin named nobody is loaded"):
            await change("nobody")


async def test_disabling_waits_for_what_was_asked(shared_host, write_plugin):
    """When it returns, the plugin works on nothing any more; the switch alone does not wait."""
    await shared_host.load(write_plugin("await asyncio.sleep(0.15)\n" + ALLOW))
    asked = asyncio.create_task(ask(shared_host))
    await asyncio.sleep(0.02)
    shared_host.switch("written", enabled=False)
    assert not asked.done()
    assert await ask(shared_host) == ()
    await shared_host.disable("written")
    assert [verdict.status for verdict in await asked] == ["ok"]


async def test_a_switch_in_between_loses_no_question(shared_host, write_plugin):
    """A question asked before a plugin was disabled still reaches it although it is unloaded after that."""
    await shared_host.load(write_plugin("await asyncio.sleep(0.2)\n" + ALLOW, name="slow", priority=1))
    await shared_host.load(write_plugin(ALLOW, name="later", priority=2))
    asked = asyncio.create_task(ask(shared_host))
    await asyncio.sleep(0.02)
    shared_host.switch("later", enabled=False)  # the chain that still has to ask it is an old one now
    await shared_host.unload("later")
    assert [(verdict.plugin, verdict.status) for verdict in await asked] == [("slow", "ok"), ("later", "ok")]


async def test_reloading_reads_the_files_again(shared_host, write_plugin):
    """With the operator's config of the first time over the manifest's new one; a disabled one stays disabled."""
    path = write_plugin("return PolicyDecision(True, repr(self.config))", config={"a": 1, "b": 2})
    await shared_host.load(path, config={"b": 3})
    text = (path / "plugin.yaml").read_text()
    (path / "plugin.yaml").write_text(text.replace("a: 1", "a: 7").replace("b: 2", "b: 8"))
    await shared_host.reload("written")
    assert [verdict.reason for verdict in await ask(shared_host)] == ["{'a': 7, 'b': 3}"]
    await shared_host.disable("written")
    assert (await shared_host.reload("written")).enabled is False
    (path / "plugin.py").write_text("class Broken(:\n")
    with pytest.raises(PluginError, match="syntax error"):
        await shared_host.reload("written")
    await shared_host.enable("written")
    assert [verdict.status for verdict in await ask(shared_host)] == ["ok"]


async def test_a_reloaded_plugin_keeps_its_name(shared_host, write_plugin):
    """A file that calls itself otherwise now is refused; the old one goes on."""
    path = write_plugin(ALLOW)
    await shared_host.load(path)
    path.write_text(source_of(ALLOW, name="renamed"))
    with pytest.raises(PluginError, match="it calls itself renamed; name it written, or load it as renamed"):
        await shared_host.reload("written")
    assert [verdict.plugin for verdict in await ask(shared_host)] == ["written"]


async def test_packages_replace_by_origin_or_when_told_to(shared_host, write_plugin, tmp_path):
    """The same origin replaces, another one is a name taken, and `replace` overrules that."""
    await shared_host.load(write_plugin(ALLOW))
    other = tmp_path / "other.py"
    other.write_text(source_of("return PolicyDecision(True, 'other')"))
    package = manifest.read(other)
    with pytest.raises(PluginError, match=r"other\.py: a plugin named written is loaded from .*written\.py"):
        await shared_host.load_package(package)
    info = await shared_host.load_package(package, replace=True)
    assert info.origin == str(other)
    await shared_host.load_package(package)
    other.unlink()
    await shared_host.reload("written")  # it was read already
    assert [verdict.reason for verdict in await ask(shared_host)] == ["other"]
    await shared_host.load_package(package, enabled=False)
    assert await ask(shared_host) == ()


async def test_objects_and_files_do_not_replace_each_other(shared_host, write_plugin):
    """Whichever came first keeps the name; the one refused leaves no process behind and is not loaded."""
    path = write_plugin(ALLOW)
    await shared_host.load(path)
    plugin = Registered(name="written")
    with pytest.raises(PluginError, match=r"a plugin named written is loaded from .*written\.py"):
        await shared_host.register(plugin)
    assert plugin.events == []
    await shared_host.unload("written")
    await shared_host.register(plugin)
    with pytest.raises(PluginError, match=r"written\.py: a plugin named written is loaded from fixtures\.objects"):
        await shared_host.load(path)
    assert plugin.events == ["loaded"]
    await processes_of(shared_host, 0)


async def test_a_requirement_holds_while_a_plugin_comes_in(shared_host, write_plugin):
    """What a plugin needs cannot be disabled between its being checked and its being in."""
    await shared_host.register(Registered(allow, name="base"))
    outcomes = set()
    for step in range(30):
        loading = asyncio.create_task(shared_host.load(write_plugin(ALLOW, name="late", requires=["base"])))
        await asyncio.sleep(step * 0.0005)
        try:
            shared_host.switch("base", enabled=False)
        except ConflictError:
            outcomes.add("not disabled")
        try:
            await loading
        except PluginError as error:
            outcomes.add(error.message.rpartition("late requires base: ")[2])
        else:
            await shared_host.unload("late")
        shared_host.switch("base", enabled=True)
    assert outcomes == {"it is disabled; enable it first", "not disabled"}


async def test_every_question_meets_one_whole_set(shared_host, write_plugin):
    """Under traffic, a plugin and the one that requires it come, go and are switched: no verdict is lost or mixed up.

    `base` is in every set that has `late`, and earlier; `always` is in all of them.
    """
    host = shared_host
    base = write_plugin(ECHO, name="base", priority=50)
    late = write_plugin(ECHO, name="late", priority=1, requires=["base"])
    await host.load(write_plugin(ECHO, name="always", priority=2))
    traffic = Traffic(host)
    for _ in range(12):
        await host.load(base)
        await host.load(late)
        host.switch("late", enabled=False)
        host.switch("base", enabled=False)
        await asyncio.sleep(0.002)
        host.switch("base", enabled=True)
        await host.enable("late")
        await host.reload("base")
        with pytest.raises(ConflictError):
            host.switch("base", enabled=False)
        await host.unload("late")
        await host.unload("base")
    await traffic.stop()
    assert traffic.statuses == {"ok"}
    assert traffic.sets == {("always",), ("always", "base"), ("always", "base", "late")}
    assert traffic.questions > 100


async def test_changes_at_random(shared_host, write_plugin):
    """Three at a time change five plugins at random under traffic; at the end the list is what was last done."""
    host = shared_host
    chance = random.Random(5)
    paths = {name: write_plugin(ECHO, name=name, priority=chance.randrange(3)) for name in "abc"}
    traffic = Traffic(host, streams=4)

    async def change() -> None:
        for _ in range(40):
            name = chance.choice("abcde")
            act = chance.choice([host.load, host.unload, host.enable, host.disable, host.reload])
            try:
                if act != host.load:
                    await act(name)
                elif name in paths:
                    await host.load(paths[name])
                else:
                    await host.register(Registered(_echo, name=name, priority=1))
            except (NotFoundError, ConflictError, PluginError) as error:
                assert "is loaded" in error.message or "no file of it" in error.message  # noqa: PT017

    await asyncio.gather(*(change() for _ in range(3)))
    await traffic.stop()
    assert traffic.statuses <= {"ok"}
    enabled = [plugin.name for plugin in host.plugins() if plugin.enabled]
    assert [verdict.plugin for verdict in await ask(host)] == enabled
    await processes_of(host, sum(plugin.sandboxed for plugin in host.plugins()))


async def test_concurrent_loads_of_one_name_leave_one(shared_host, write_plugin, tmp_path):
    """Of two files with one name one gets in, whichever it is, and the other one is told."""
    paths = [tmp_path / f"{number}.py" for number in range(3)]
    for path in paths:
        path.write_text(source_of(ALLOW))
    outcomes = await asyncio.gather(*map(shared_host.load, paths), return_exceptions=True)
    assert sum(isinstance(outcome, PluginError) for outcome in outcomes) == 2
    assert len(shared_host.plugins()) == 1
    await processes_of(shared_host, 1)


async def test_a_change_given_up_leaves_a_whole_set(shared_host, write_plugin):
    """Cancelled at any moment, a reload has happened or has not; questions are answered either way."""
    await shared_host.register(Registered(show, name="late"), requires=[])
    await shared_host.load(write_plugin(ALLOW))
    for step in range(15):
        reloading = asyncio.create_task(shared_host.reload("written"))
        await asyncio.sleep(step * 0.0005)
        reloading.cancel()
        await asyncio.wait([reloading])
        assert [verdict.status for verdict in await ask(shared_host)] == ["ok", "ok"]
    await shared_host.reload("written")
    await processes_of(shared_host, 1)
