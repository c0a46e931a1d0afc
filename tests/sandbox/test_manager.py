"""The manager that SARK's users know: objects in the program, files in the sandbox, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from fixtures.objects import Registered, allow, deny, show
from fixtures.plugins import NOON, bundled_module, context, processes_below, processes_settle_at

from sark_opa.bundled import folder
from sark_opa.errors import ConflictError, NotFoundError, PluginError, UnavailableError
from sark_opa.plugin import PolicyContext, PolicyDecision
from sark_opa.sandbox import PluginInfo, PolicyPluginManager

pytestmark = pytest.mark.anyio

BusinessHoursPlugin = bundled_module("business_hours").BusinessHoursPlugin
RateLimitPlugin = bundled_module("rate_limit").RateLimitPlugin
CostAwarePlugin = bundled_module("cost_aware").CostAwarePlugin


@pytest.fixture
async def manager(anyio_backend) -> AsyncIterator[PolicyPluginManager]:
    """A manager without plugins."""
    async with PolicyPluginManager() as manager:
        yield manager


async def test_the_snippet_of_business_hours(manager):
    """An object is registered and decides by itself, with its name on the decision."""
    plugin = BusinessHoursPlugin(start_hour=9, end_hour=17)
    await manager.register_plugin(plugin, enabled=True)
    (decision,) = await manager.evaluate_all(context())
    assert (decision.allowed, decision.plugin_name) == (True, "business_hours")
    (decision,) = await manager.evaluate_all(context(timestamp=NOON + timedelta(hours=6)))
    assert decision.allowed is False
    assert "outside business hours" in decision.reason


async def test_the_snippet_of_the_rate_limit_file(manager):
    """The file runs in a process of its own, which starts with it, and is asked after the object before it."""
    await manager.register_plugin(BusinessHoursPlugin())
    assert processes_below() == []
    await manager.load_from_file(Path("plugins/rate_limit/plugin.py"))
    assert len(processes_below()) >= 2
    decisions = await manager.evaluate_all(context())
    assert [(decision.plugin_name, decision.allowed) for decision in decisions] == [
        ("business_hours", True),
        ("rate_limit", True),
    ]
    assert decisions[1].metadata["remaining"] == 99


async def test_the_snippet_of_the_rate_limit_object(manager):
    """It counts in this process, for each principal."""
    await manager.register_plugin(RateLimitPlugin(max_requests=2, window_seconds=3600))
    seen = [(await manager.evaluate_all(context(name)))[0].allowed for name in ("a", "a", "b", "a")]
    assert seen == [True, True, True, False]


@dataclass
class Status:
    principal_id: str
    daily_budget: Decimal = Decimal(10)
    daily_remaining: Decimal = Decimal("0.40")
    monthly_budget: Decimal | None = None
    monthly_remaining: Decimal | None = None


class CostService:
    async def get_budget_status(self, principal_id: str) -> Status:
        return Status(principal_id)


async def test_the_snippet_of_the_cost_aware_object(manager):
    """It asks its service, unless the context's facts have the budget."""
    plugin = CostAwarePlugin(cost_service=CostService(), warning_threshold=0.8, deny_threshold=0.95)
    await manager.register_plugin(plugin)
    (decision,) = await manager.evaluate_all(context("user-123"))
    assert (decision.allowed, decision.metadata["percent_used"]) == (False, 96.0)
    (decision,) = await manager.evaluate_all(context("other", facts={"budget": {"status": "none", "accounts": []}}))
    assert (decision.allowed, decision.reason) == (True, "no budget applies")


async def test_files_are_handed_the_facts_they_need(manager, write_plugin):
    """And no other ones; where the context lacks one, the plugin is not asked and denies."""
    facts = {"budget": {"status": "ok"}, "clock": {"now": "now"}, "mine": 1}
    body = "return PolicyDecision(True, '', dict(context.facts))"
    await manager.load_from_file(write_plugin(body, needs=["budget_status"], on_error="skip"))
    await manager.register_plugin(Registered(show, name="object"))
    shown, handed = await manager.evaluate_all(context(facts=facts))
    assert shown.metadata == {"facts": facts}
    assert handed.metadata == {"budget": {"status": "ok"}}
    _, skipped = await manager.evaluate_all(context())
    assert (skipped.allowed, skipped.metadata) == (True, {"status": "error", "skipped": True})
    assert skipped.reason == "budget_status cannot be had: the context gives no facts['budget']"


async def test_every_method_on_an_object(manager):
    """Register, list, get, disable, enable, unregister; each with the effect its name says."""
    plugin = Registered(deny, name="mine", priority=7, description="Mine.")
    await manager.register_plugin(plugin, enabled=False)
    assert await manager.evaluate_all(context()) == []
    listed = {
        "name": "mine", "version": "1.0.0", "description": "Mine.", "priority": 7, "enabled": False,
        "sandboxed": False, "state": "running",
    }  # fmt: skip
    assert manager.list_plugins() == [listed]
    assert manager.list_plugins(enabled_only=True) == []
    assert manager.get_plugin("mine") is plugin
    manager.enable_plugin("mine")
    manager.enable_plugin("mine")
    assert manager.list_plugins(enabled_only=True) == [{**listed, "enabled": True}]
    assert await manager.evaluate_all(context()) == [PolicyDecision(False, "no", {}, "mine")]  # noqa: FBT003
    manager.disable_plugin("mine")
    assert await manager.evaluate_all(context()) == []
    await manager.unregister_plugin("mine")
    assert manager.get_plugin("mine") is None
    assert manager.list_plugins() == []
    assert plugin.events == ["loaded", "user-1", "unloaded"]


async def test_every_method_on_a_file(manager, write_plugin):
    """The same; what is got is what is known of it, since the object is in another process."""
    path = write_plugin("return PolicyDecision(False, 'no', {'n': self.calls})", priority=3)
    info = await manager.load_from_file(path, enabled=False)
    assert await manager.evaluate_all(context()) == []
    got = manager.get_plugin("written")
    assert isinstance(got, PluginInfo)
    assert got == info
    assert (got.name, got.version, got.description, got.priority) == ("written", "1.0.0", "", 3)
    known = {"name": "written", "version": "1.0.0", "description": "", "priority": 3}
    assert got.get_metadata() == known
    manager.enable_plugin("written")
    assert manager.list_plugins() == [{**known, "enabled": True, "sandboxed": True, "state": "running"}]
    assert await manager.evaluate_all(context()) == [PolicyDecision(False, "no", {"n": 1}, "written")]  # noqa: FBT003
    write_plugin("return PolicyDecision(True, str(self.config))", priority=3)
    await manager.load_from_file(str(path), config={"a": 1})
    assert [decision.reason for decision in await manager.evaluate_all(context())] == ["{'a': 1}"]
    manager.disable_plugin("written")
    await manager.unregister_plugin("written")
    assert manager.get_plugin("written") is None


async def test_the_first_denial_ends_it(manager, write_plugin):
    """Lower priority first, objects and files mixed; a failure is a denial that says how it came about."""
    await manager.register_plugin(Registered(allow, name="third", priority=3))
    await manager.load_from_file(write_plugin("raise ValueError", name="second", priority=2))
    await manager.register_plugin(Registered(allow, name="first", priority=1))
    first, second = await manager.evaluate_all(context())
    assert (first.plugin_name, second.plugin_name) == ("first", "second")
    assert (second.allowed, second.metadata) == (False, {"status": "error", "skipped": False})
    assert second.reason.startswith("raised ValueError")


async def test_all_decisions_are_there_in_time(manager, write_plugin):
    """The timeout is for all of them together; who is late denies, and the next question is answered."""

    async def slow(_: PolicyContext) -> PolicyDecision:
        await asyncio.sleep(60)
        raise AssertionError

    await manager.load_from_file(write_plugin("await asyncio.sleep(0.1)\nreturn PolicyDecision(True, '')", priority=1))
    await manager.register_plugin(Registered(slow))
    started = asyncio.get_running_loop().time()
    decisions = await manager.evaluate_all(context(), timeout=0.2)
    assert asyncio.get_running_loop().time() - started < 1
    assert [(decision.allowed, decision.metadata.get("status")) for decision in decisions] == [
        (True, None),
        (False, "timeout"),
    ]
    manager.disable_plugin("registered")
    assert [decision.allowed for decision in await manager.evaluate_all(context())] == [True]


async def test_a_context_that_says_no_instant_denies(manager):
    """A time without a zone means another instant to every reader; so no plugin is asked."""
    plugin = Registered(allow)
    await manager.register_plugin(plugin)
    (decision,) = await manager.evaluate_all(context(timestamp=NOON.replace(tzinfo=None)))
    assert (decision.allowed, decision.metadata["status"]) == (False, "error")
    assert "its timestamp has no time zone" in decision.reason
    assert plugin.events == ["loaded"]


async def test_requirements_between_objects(manager):
    """The later one finds what the earlier one said, and the earlier one cannot be taken away."""
    await manager.register_plugin(Registered(allow, name="base", priority=9))
    await manager.register_plugin(Registered(show, name="late"), requires=["base>=1"])
    _, late = await manager.evaluate_all(context())
    assert late.metadata["facts"]["verdicts"]["base"]["reason"] == "yes"
    with pytest.raises(ConflictError, match="base cannot be disabled: late requires it"):
        manager.disable_plugin("base")
    with pytest.raises(ConflictError, match="base cannot be unloaded: late requires it"):
        await manager.unregister_plugin("base")
    assert manager.get_plugin("base") is not None


async def test_errors_have_codes_and_change_nothing(manager, write_plugin, tmp_path):
    """Unknown names, taken names, files that are no plugins."""
    await manager.load_from_file(write_plugin("return PolicyDecision(True, '')"))
    await manager.register_plugin(Registered(name="mine"))
    before = manager.list_plugins()
    for change in (manager.enable_plugin, manager.disable_plugin):
        with pytest.raises(NotFoundError, match="no plugin named nobody is loaded"):
            change("nobody")
    with pytest.raises(NotFoundError):
        await manager.unregister_plugin("nobody")
    for plugin, code in ((Registered(name="written"), "plugin_invalid"), (object(), "plugin_invalid")):
        with pytest.raises(PluginError) as caught:
            await manager.register_plugin(plugin)
        assert caught.value.code == code
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    with pytest.raises(PluginError, match=r"broken\.py:1: syntax error"):
        await manager.load_from_file(broken)
    other = tmp_path / "other.py"
    other.write_text(write_plugin("return PolicyDecision(True, '')", name="mine").read_text())
    with pytest.raises(PluginError, match=r"other\.py: a plugin named mine is loaded from fixtures\.objects"):
        await manager.load_from_file(other)
    assert manager.list_plugins() == before
    assert [decision.allowed for decision in await manager.evaluate_all(context())] == [True, True]


async def test_a_closed_manager_leaves_nothing(anyio_backend, write_plugin):
    """Objects are unloaded and processes gone; it cannot be used again."""
    plugin = Registered()
    async with PolicyPluginManager() as manager:
        await manager.register_plugin(plugin)
        await manager.load_from_file(write_plugin("return PolicyDecision(True, '')"))
    assert plugin.events == ["loaded", "unloaded"]
    await processes_settle_at(0)
    assert manager.list_plugins() == []
    with pytest.raises(UnavailableError, match="closed"):
        await manager.load_from_file(folder("plugins") / "business_hours")
