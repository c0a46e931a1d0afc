"""Plugins that build on others: they are asked later and handed what those said."""

from __future__ import annotations

import pytest
import yaml
from fixtures.objects import Registered, allow, deny, show
from fixtures.plugins import ask, no_facts, question

from sark_opa.errors import ConflictError, PluginError

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes', {'seen': self.calls, 'deep': {'list': [1, None, 0.5]}})"
SHOW = "return PolicyDecision(True, 'shown', {'facts': context.facts})"


async def test_verdicts_are_handed_over_with_their_values(shared_host, write_plugin):
    """Reason, metadata and status as they were, of the required ones alone, although it has the lower priority."""
    await shared_host.load(write_plugin(ALLOW, name="base", priority=50))
    await shared_host.load(write_plugin("return PolicyDecision(True, 'unasked')", name="other", priority=1))
    await shared_host.load(write_plugin(SHOW, name="late", priority=1, requires=["base>=1.0,<2"]))
    for count in (1, 2):
        other, base, late = await ask(shared_host)
        assert [other.plugin, base.plugin, late.plugin] == ["other", "base", "late"]
        assert late.metadata["facts"] == {
            "verdicts": {
                "base": {
                    "allowed": True,
                    "reason": "yes",
                    "metadata": {"seen": count, "deep": {"list": [1, None, 0.5]}},
                    "status": "ok",
                }
            }
        }
    assert shared_host.plugins()[-1].requires == ("base<2,>=1.0",)


async def test_facts_and_verdicts_come_together(shared_host, write_plugin):
    """A plugin that needs the budget and requires another has both, looked up once the other has answered."""
    asked = []

    async def facts(need: str) -> object:
        asked.append(need)
        return {"status": "ok"}

    await shared_host.register(Registered(deny, name="gate", priority=1))
    await shared_host.load(write_plugin(ALLOW, name="base", priority=2))
    await shared_host.load(write_plugin(SHOW, name="late", needs=["budget_status"], requires=["base"]))
    await shared_host.evaluate(question(), deadline_s=5, facts=facts)
    assert asked == []
    await shared_host.unload("gate")
    _, late = await shared_host.evaluate(question(), deadline_s=5, facts=facts)
    assert asked == ["budget_status"]
    assert set(late.metadata["facts"]) == {"budget", "verdicts"}


async def test_a_required_plugin_that_denies_ends_it(shared_host, write_plugin):
    """Whoever requires it is not asked."""
    await shared_host.load(write_plugin("return PolicyDecision(False, 'no')", name="base"))
    await shared_host.load(write_plugin(SHOW, name="late", requires=["base"]))
    assert [verdict.plugin for verdict in await ask(shared_host)] == ["base"]


async def test_a_skipped_one_is_handed_over_with_its_status(shared_host, write_plugin):
    """The one that builds on it sees that its permission is none of its own."""
    await shared_host.load(write_plugin("raise ValueError", name="base", on_error="skip"))
    await shared_host.load(write_plugin(SHOW, name="late", requires=["base"]))
    base, late = await ask(shared_host)
    assert base.skipped
    handed = late.metadata["facts"]["verdicts"]["base"]
    assert (handed["allowed"], handed["status"], handed["metadata"]) == (True, "error", {})
    assert handed["reason"] == base.reason


async def test_objects_and_files_require_each_other(shared_host, write_plugin):
    """A file after an object after a file, each with the verdict before it."""
    await shared_host.load(write_plugin(ALLOW, name="first", priority=900))
    await shared_host.register(Registered(show, name="second", priority=1), requires=["first>=1"])
    await shared_host.load(write_plugin(SHOW, name="third", priority=1, requires=["second"]))
    first, second, third = await ask(shared_host)
    assert [first.plugin, second.plugin, third.plugin] == ["first", "second", "third"]
    assert second.metadata["facts"]["verdicts"]["first"]["metadata"] == first.metadata
    assert third.metadata["facts"]["verdicts"] == {
        "second": {"allowed": True, "reason": "shown", "metadata": second.metadata, "status": "ok"}
    }


async def test_what_is_required_cannot_be_taken_away(shared_host, write_plugin):
    """Unloading and disabling it are refused by name, until the one that requires it is disabled or gone."""
    await shared_host.load(write_plugin(ALLOW, name="base"))
    await shared_host.load(write_plugin(SHOW, name="late", requires=["base"]))
    before = shared_host.plugins()
    for change in (shared_host.unload, shared_host.disable):
        with pytest.raises(ConflictError, match="late requires it and is enabled") as caught:
            await change("base")
        assert caught.value.details == {"plugin": "base", "required_by": ["late"]}
    assert shared_host.plugins() == before
    assert [verdict.status for verdict in await ask(shared_host)] == ["ok", "ok"]
    await shared_host.disable("late")
    await shared_host.disable("base")
    with pytest.raises(PluginError, match="late requires base: it is disabled; enable it first"):
        await shared_host.enable("late")
    await shared_host.unload("base")
    with pytest.raises(PluginError, match="late requires base: it is not loaded"):
        await shared_host.enable("late")
    assert [(plugin.name, plugin.enabled) for plugin in shared_host.plugins()] == [("late", False)]


async def test_a_missing_requirement_keeps_a_plugin_out(shared_host, write_plugin):
    """The error names file and field, and nothing has changed; disabled, the plugin may come in."""
    path = write_plugin(SHOW, name="late", requires=["base>=2"])
    with pytest.raises(PluginError, match=r"late: requires: late requires base>=2: it is not loaded") as caught:
        await shared_host.load(path)
    assert (caught.value.details["path"], caught.value.details["field"]) == (str(path), "requires")
    assert shared_host.plugins() == ()
    await shared_host.load(path, enabled=False)
    with pytest.raises(PluginError, match="it is not loaded"):
        await shared_host.enable("late")


async def test_a_version_that_is_required_cannot_be_replaced_by_another(shared_host, write_plugin):
    """The old version goes on, with what it remembers."""
    path = write_plugin(ALLOW, name="base", on_error="deny")
    await shared_host.load(path)
    await shared_host.load(write_plugin(SHOW, name="late", requires=["base<2"]))
    await ask(shared_host)
    _new_version(path, "2.0.0")
    with pytest.raises(PluginError, match=r"late requires base<2: version 2\.0\.0 is loaded"):
        await shared_host.load(path)
    with pytest.raises(PluginError, match=r"version 2\.0\.0"):
        await shared_host.reload("base")
    base, _ = await ask(shared_host)
    assert (base.version, base.metadata["seen"]) == ("1.0.0", 2)
    _new_version(path, "1.5")
    assert (await shared_host.reload("base")).version == "1.5"


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
async def test_a_circle_closed_by_a_new_version_is_refused(shared_host, write_plugin, names):
    """Told in full; the old version and the order of before stay."""
    last, first = names[-1], names[0]
    await shared_host.load(write_plugin(ALLOW, name=last, on_error="deny"))
    for name, required in zip(reversed(names[:-1]), reversed(names[1:]), strict=True):
        await shared_host.load(write_plugin(ALLOW, name=name, requires=[required]))
    before = shared_host.plugins()
    assert [plugin.name for plugin in before] == list(reversed(names))
    circle = " requires ".join([*names, first])
    with pytest.raises(PluginError, match=f"in a circle: {circle}$"):
        await shared_host.load(write_plugin(ALLOW, name=last, requires=[first]))
    assert shared_host.plugins() == before
    assert [verdict.plugin for verdict in await ask(shared_host)] == list(reversed(names))


async def test_a_diamond_is_asked_in_three_steps(shared_host, write_plugin):
    """The one at the bottom sees both sides, and not the top it does not name."""
    await shared_host.load(write_plugin(ALLOW, name="top", priority=5))
    for side in ("left", "right"):
        await shared_host.load(write_plugin(f"return PolicyDecision(True, '{side}')", name=side, requires=["top"]))
    await shared_host.load(write_plugin(SHOW, name="bottom", priority=-5, requires=["right", "left"]))
    *_, bottom = await ask(shared_host)
    handed = bottom.metadata["facts"]["verdicts"]
    assert {name: verdict["reason"] for name, verdict in handed.items()} == {"left": "left", "right": "right"}


async def test_a_stand_in_fails_in_the_place_of_another(shared_host, write_plugin):
    """It denies first with its reason, or is handed over as a failure; loading the plugin again ends it."""
    path = write_plugin(ALLOW, name="base", on_error="skip")
    await shared_host.load(path)
    await shared_host.load(write_plugin(SHOW, name="late", requires=["base<2"]))
    await shared_host.register(Registered(allow, name="early", priority=-50))
    await shared_host.stand_in("base", version="2.0.0", reason="its file is damaged", on_error="deny")
    (only,) = await ask(shared_host)
    assert (only.plugin, only.version, only.allowed, only.status) == ("base", "2.0.0", False, "error")
    assert only.reason == "its file is damaged"
    assert shared_host.plugins()[0].state == "failing"
    info = await shared_host.stand_in("base", version="2.0.0", reason="still", on_error="skip")
    assert (info.name, info.enabled) == ("base", True)
    *_, late = await ask(shared_host)
    assert late.metadata["facts"]["verdicts"]["base"] == {
        "allowed": True, "reason": "still", "metadata": {}, "status": "error",
    }  # fmt: skip
    with pytest.raises(ConflictError, match="no file of it"):
        await shared_host.reload("base")
    await shared_host.load(path)
    assert [verdict.status for verdict in await shared_host.evaluate(question(), deadline_s=5, facts=no_facts)] == [
        "ok"
    ] * 3


def _new_version(path, version):
    manifest = yaml.safe_load((path / "plugin.yaml").read_text())
    (path / "plugin.yaml").write_text(yaml.safe_dump({**manifest, "version": version}))
    source = (path / "plugin.py").read_text().splitlines()
    changed = [f'    version = "{version}"' if line.startswith("    version = ") else line for line in source]
    (path / "plugin.py").write_text("\n".join(changed))
