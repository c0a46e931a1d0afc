"""Objects that cannot be registered: each is refused with its class and what is wrong, and nothing has changed."""

from __future__ import annotations

import asyncio

import pytest
from fixtures.objects import Registered, deny
from fixtures.plugins import ask

from sark_opa.errors import PluginError
from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin

pytestmark = pytest.mark.anyio


class NotAPlugin:
    name = "registered"


class Unfinished(PolicyPlugin):
    name = "unfinished"


class Synchronous(Registered):
    def evaluate(self, context: PolicyContext) -> PolicyDecision:  # type: ignore[override]  # noqa: ARG002
        return PolicyDecision(allowed=True, reason="")


class Narrow(Registered):
    async def evaluate(self) -> PolicyDecision:  # type: ignore[override]
        return PolicyDecision(allowed=True, reason="")


class Wide(Registered):
    async def evaluate(self, context: PolicyContext, more: str) -> PolicyDecision:  # type: ignore[override]
        return PolicyDecision(allowed=True, reason=f"{context}{more}")


class Wordless(Registered):
    @property  # type: ignore[misc]
    def version(self) -> str:  # type: ignore[override]
        raise LookupError("no version")


class Failing(Registered):
    async def on_load(self) -> None:
        raise SystemExit("cannot")


class Hanging(Registered):
    async def on_load(self) -> None:
        await asyncio.sleep(60)


REFUSED = {
    "no plugin": (NotAPlugin, {}, r"NotAPlugin: it is no PolicyPlugin; its class must subclass sark_opa"),
    "a class": (lambda: Registered, {}, r"it is a class; register an object of it, such as Registered\(\)"),
    "abstract": (lambda: Unfinished, {}, r"Unfinished: it does not implement evaluate, version"),
    "not async": (Synchronous, {}, r"Synchronous: evaluate must be `async def`"),
    "too narrow": (Narrow, {}, r"evaluate: it cannot be called as evaluate\(context\): too many positional"),
    "too wide": (Wide, {}, r"evaluate: it cannot be called as evaluate\(context\): missing .*'more'"),
    "a bad name": (lambda: Registered(name="Not a name"), {}, r"in the plugin's `name`"),
    "a bad version": (lambda: Registered(name="a", version=1), {}, r"`str`, got `int` - in the plugin's `version`"),
    "a bad priority": (lambda: Registered(name="a", priority=10**9), {}, r"in the plugin's `priority`"),
    "no version": (Wordless, {}, r"cannot be had: LookupError\('no version'\)"),
    "exits on load": (Failing, {}, r"Failing: on_load: SystemExit: cannot"),
    "hangs on load": (Hanging, {}, r"Hanging: on_load: TimeoutError: not done within 200 ms"),
    "an unknown need": (Registered, {"needs": ["rate_window"]}, r"needs: 'rate_window' is nothing an object is handed"),
    "no requirement": (Registered, {"requires": ["!"]}, r"requires: '!' is no requirement"),
    "a missing one": (Registered, {"requires": ["other"]}, r"registered requires other: it is not loaded"),
    "a taken name": (lambda: Registered(name="there"), {}, r"a plugin named there is loaded from fixtures\.objects"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_registered_is_named(unstarted_host, case):
    """The error says what and why; what was there goes on, and nothing of the refused object is run or kept."""
    make, more, told = REFUSED[case]
    there = Registered(deny, name="there")
    await unstarted_host.register(there)
    before = unstarted_host.plugins()
    refused = make()
    with pytest.raises(PluginError, match=told):
        await unstarted_host.register(refused, **more)
    assert unstarted_host.plugins() == before
    assert [verdict.reason for verdict in await ask(unstarted_host)] == ["no"]
    assert there.events == ["loaded", "user-1"]
    if isinstance(refused, Registered):
        assert refused.events == []
