"""Objects of the operator's own: asked like any plugin, without a process, and held to the same rules."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from decimal import Decimal

import pytest
from fixtures.objects import Registered, allow
from fixtures.plugins import NOON, ask, no_facts, processes_below, question

from sark_opa.errors import ConflictError, PluginError
from sark_opa.plugin import PolicyContext, PolicyDecision

pytestmark = pytest.mark.anyio


async def test_an_object_is_asked_in_order_with_all_others(unstarted_host):
    """It sees the question as a sandboxed plugin does, and no process is started."""
    seen: list[PolicyContext] = []

    async def look(context: PolicyContext) -> PolicyDecision:
        seen.append(context)
        context.arguments["usd"] = "changed"
        return PolicyDecision(allowed=True, reason="looked", metadata={"n": 1})

    info = await unstarted_host.register(Registered(look, name="second", priority=2, description="Looks."))
    await unstarted_host.register(Registered(look, name="first", priority=1))
    asked = question(arguments={"usd": Decimal("0.10"), "list": (1, 2)}, org="acme")
    first, second = await ask(unstarted_host, asked)
    assert (first.plugin, second.plugin, second.version, second.status) == ("first", "second", "1.0.0", "ok")
    assert (second.allowed, second.reason, second.metadata) == (True, "looked", {"n": 1})
    assert second.elapsed_ms > 0
    # Each is handed values of its own, the way JSON carries them.
    for context in seen:
        assert (context.principal_id, context.org, context.timestamp) == ("user-1", "acme", NOON)
    assert [context.arguments for context in seen] == [{"usd": "changed", "list": [1, 2]}] * 2
    assert asked.arguments["usd"] == Decimal("0.10")
    assert (info.description, info.sandboxed, info.enabled, info.state) == ("Looks.", False, True, "running")
    assert (info.source_digest, info.path, info.origin) == ("", "", "fixtures.objects.Registered")
    assert processes_below() == []


async def _raises(context: PolicyContext) -> PolicyDecision:
    raise ValueError(f"quotes {context.arguments}")


async def _exits(context: PolicyContext) -> PolicyDecision:
    raise SystemExit(3)


async def _cancels_itself(context: PolicyContext) -> PolicyDecision:
    raise asyncio.CancelledError


async def _has_no_memory(context: PolicyContext) -> PolicyDecision:
    raise MemoryError


async def _waits(context: PolicyContext) -> PolicyDecision:
    await asyncio.sleep(60)
    raise AssertionError


async def _blocks(context: PolicyContext) -> PolicyDecision:
    time.sleep(0.25)  # noqa: ASYNC251  # the mistake it is about
    return PolicyDecision(allowed=True, reason="too late")


async def _ignores_its_end(context: PolicyContext) -> PolicyDecision:
    for _ in range(2):
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            continue
    return PolicyDecision(allowed=True, reason="too late")


FAILURES = {
    "raises": (_raises, "error", "raised ValueError (objects.py line "),
    "exits": (_exits, "error", "raised SystemExit (objects.py line "),
    "cancels itself": (_cancels_itself, "error", "raised CancelledError"),
    "has no memory": (_has_no_memory, "memory_limit", "raised MemoryError"),
    "waits": (_waits, "timeout", "time limit: no answer within 200 ms"),
    "blocks": (_blocks, "timeout", "time limit: no answer within 200 ms"),
    "ignores its end": (_ignores_its_end, "timeout", "time limit: no answer within 200 ms"),
}


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("on_error", ["deny", "skip"])
async def test_a_failure_is_no_permission_of_its_own(unstarted_host, case, on_error):
    """It has a status and a reason that quotes nothing; the service and the next question are not harmed."""
    answer, status, reason = FAILURES[case]
    plugin = Registered(answer)
    await unstarted_host.register(plugin, on_error=on_error)
    (verdict,) = await ask(unstarted_host)
    assert (verdict.status, verdict.allowed, verdict.skipped) == (status, on_error == "skip", on_error == "skip")
    assert verdict.reason.startswith(reason)
    assert "quotes" not in verdict.reason
    plugin.answer = allow
    assert [again.status for again in await ask(unstarted_host)] == ["ok"]


DECISIONS = {
    "none": (None, "evaluate returned a NoneType, not a PolicyDecision"),
    "a word": (PolicyDecision("yes", ""), "allowed is a str, not exactly a bool"),  # type: ignore[arg-type]
    "one": (PolicyDecision(1, ""), "allowed is a int, not exactly a bool"),  # type: ignore[arg-type]
    "no reason": (PolicyDecision(allowed=True, reason=None), "reason is a NoneType, not exactly a str"),  # type: ignore[arg-type]
    "long": (PolicyDecision(allowed=True, reason="x" * 2_000), "reason takes 2000 bytes, 1024 are allowed"),
    "not a number": (
        PolicyDecision(allowed=True, reason="", metadata={"a": math.nan}),
        "metadata.a is nan, which JSON cannot say",
    ),
    "an object": (
        PolicyDecision(allowed=True, reason="", metadata={"a": object()}),
        "metadata.a is a object, which JSON cannot say",
    ),
    "half a letter": (PolicyDecision(allowed=True, reason="\ud800"), "'utf-8' codec can't encode"),
    "huge": (PolicyDecision(allowed=True, reason="", metadata={"a": "x" * 17_000}), "are allowed"),
}


@pytest.mark.parametrize("case", DECISIONS)
async def test_what_is_no_decision_denies(unstarted_host, case):
    """The same checks as for an answer from the sandbox, with the same words."""
    decision, told = DECISIONS[case]

    async def answer(context: PolicyContext) -> object:
        return decision

    await unstarted_host.register(Registered(answer))
    (verdict,) = await ask(unstarted_host)
    assert (verdict.status, verdict.allowed) == ("error", False)
    assert verdict.reason.startswith("no valid decision: ")
    assert told in verdict.reason


async def test_a_verdict_is_the_caller_s_own(unstarted_host):
    """What the plugin does with its metadata afterwards changes nothing."""
    kept = {"list": [1]}

    async def answer(context: PolicyContext) -> PolicyDecision:
        return PolicyDecision(allowed=True, reason="", metadata=kept)

    await unstarted_host.register(Registered(answer))
    (verdict,) = await ask(unstarted_host)
    kept["list"].append(2)
    assert verdict.metadata == {"list": [1]}


async def test_the_caller_s_deadline_ends_the_wait(unstarted_host):
    """Before the call's own time is over; the call is cancelled, and so it is when the caller gives up."""
    ended: list[str] = []

    async def answer(context: PolicyContext) -> PolicyDecision:
        try:
            return await _waits(context)
        finally:
            ended.append(context.principal_id)

    await unstarted_host.register(Registered(answer))
    (verdict,) = await ask(unstarted_host, question("late"), deadline_s=0.02)
    assert (verdict.status, verdict.reason) == ("timeout", "no answer before the caller's deadline")
    asked = asyncio.create_task(ask(unstarted_host, question("cancelled")))
    await asyncio.sleep(0.02)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await asyncio.sleep(0)
    assert ended == ["late", "cancelled"]


async def test_too_many_calls_are_refused(unstarted_host):
    """More than `waiting_max` at a time are overloaded; the others are answered."""

    async def answer(context: PolicyContext) -> PolicyDecision:
        await asyncio.sleep(0.05)
        return PolicyDecision(allowed=True, reason=context.principal_id)

    await unstarted_host.register(Registered(answer))
    verdicts = await asyncio.gather(*(ask(unstarted_host, question(f"{number}")) for number in range(5)))
    assert [verdict.status for (verdict,) in verdicts] == ["ok"] * 3 + ["overloaded"] * 2
    assert [verdict.reason for (verdict,) in verdicts][:3] == ["0", "1", "2"]


async def test_loading_and_unloading_are_told_once_each(unstarted_host):
    """Unloading waits for what was asked; a closed host unloads what is left."""
    slow = Registered(functools.partial(_after, 0.1), name="slow")
    left = Registered(name="left")
    for plugin in (slow, left):
        await unstarted_host.register(plugin)
    asked = asyncio.create_task(ask(unstarted_host))
    await asyncio.sleep(0.02)
    await unstarted_host.unload("slow")
    assert slow.events == ["loaded", "user-1", "unloaded"]
    assert [(verdict.plugin, verdict.status) for verdict in await asked] == [("left", "ok"), ("slow", "ok")]
    await unstarted_host.close()
    assert left.events == ["loaded", "user-1", "unloaded"]


async def _after(wait_s: float, context: PolicyContext) -> PolicyDecision:
    await asyncio.sleep(wait_s)
    return PolicyDecision(allowed=True, reason="slow")


async def test_what_fails_on_unload_is_gone_all_the_same(unstarted_host):
    """It may raise or hang; its name is free again."""

    async def hang(self: Registered) -> None:
        await asyncio.sleep(60)

    async def fail(self: Registered) -> None:
        raise RuntimeError

    for on_unload in (hang, fail):
        await unstarted_host.register(type("Bad", (Registered,), {"on_unload": on_unload})())
        await unstarted_host.unload("registered")
        assert unstarted_host.plugins() == ()


async def test_an_object_is_registered_once(unstarted_host):
    """The same object again is a name taken: it is not loaded twice, and not unloaded."""
    plugin = Registered()
    await unstarted_host.register(plugin)
    with pytest.raises(PluginError, match="a plugin named registered is loaded from"):
        await unstarted_host.register(plugin)
    assert plugin.events == ["loaded"]
    with pytest.raises(ConflictError, match="no file of it"):
        await unstarted_host.reload("registered")
    with pytest.raises(ConflictError, match="nothing to release"):
        await unstarted_host.release("registered")


async def test_facts_it_asks_for(unstarted_host):
    """As for any plugin: looked up for it, or its failure."""
    await unstarted_host.register(Registered(_show_budget), needs=["budget_status"])

    async def facts(need: str) -> object:
        return {"status": "ok", "usd": Decimal("1.10")}

    (verdict,) = await unstarted_host.evaluate(question(), deadline_s=5, facts=facts)
    assert verdict.metadata == {"budget": {"status": "ok", "usd": "1.10"}}
    (verdict,) = await unstarted_host.evaluate(question(), deadline_s=5, facts=no_facts)
    assert (verdict.status, verdict.allowed) == ("error", False)
    assert verdict.reason.startswith("budget_status cannot be had: ")


async def _show_budget(context: PolicyContext) -> PolicyDecision:
    return PolicyDecision(allowed=True, reason="", metadata=dict(context.facts))
