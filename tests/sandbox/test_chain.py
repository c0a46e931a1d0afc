"""The order in which plugins are asked, and what ends it."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from decimal import Decimal

import pytest
from fixtures.plugins import NOON, ask, no_facts, question

from sark_opa.errors import DatabaseUnavailableError

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
DENY = "return PolicyDecision(False, 'no')"
SHOW = "return PolicyDecision(True, repr(context.facts))"


async def test_without_plugins_there_are_no_verdicts(shared_host):
    """Nobody is asked, and nothing is encoded for nobody."""
    assert await ask(shared_host, question(arguments={"unsendable": object()})) == ()


async def test_lower_priority_is_asked_first_and_a_denial_ends_it(shared_host, write_plugin):
    """Plugins after the one that denies are neither asked nor listed."""
    await shared_host.load(write_plugin(ALLOW, name="third", priority=30))
    await shared_host.load(write_plugin(DENY, name="second", priority=20))
    await shared_host.load(write_plugin(ALLOW, name="first", priority=-10))
    assert [(v.plugin, v.allowed) for v in await ask(shared_host)] == [("first", True), ("second", False)]
    await shared_host.unload("second")
    assert [v.plugin for v in await ask(shared_host)] == ["first", "third"]
    # The third one was not asked the first time.
    await shared_host.load(write_plugin("return PolicyDecision(True, str(self.calls))", name="third", priority=30))
    assert (await ask(shared_host))[-1].reason == "1"


async def test_equal_priorities_are_asked_at_the_same_time(shared_host, write_plugin):
    """Five plugins that take 0.2 s each take 0.2 s together, and all are listed although one denies."""
    for name in "edcba":
        verdict = DENY if name == "b" else ALLOW
        await shared_host.load(write_plugin(f"await asyncio.sleep(0.2)\n{verdict}", name=name))
    await shared_host.load(write_plugin(ALLOW, name="later", priority=200))
    started = time.monotonic()
    verdicts = await ask(shared_host)
    assert time.monotonic() - started < 0.8
    assert [(v.plugin, v.allowed) for v in verdicts] == [(name, name != "b") for name in "abcde"]


async def test_a_plugin_sees_the_whole_question(shared_host, write_plugin):
    """Every field arrives as it was sent; a decimal as text with its digits, a time in UTC."""
    await shared_host.load(
        write_plugin(
            "c = context\n"
            "return PolicyDecision(True, '', {'it': [c.principal_id, c.resource_id, c.capability_id, c.action,\n"
            "    c.arguments, c.environment, c.timestamp.isoformat(), c.facts]})"
        )
    )
    asked = question(
        "ü\u0000😀",
        arguments={"a": [1, -(2**63), 2**64 - 1, 0.1, None, True, {"": ""}], "usd": Decimal("0.10000000000000000001")},
        timestamp=datetime.fromisoformat("2026-03-02T13:00:00.000001+01:00"),
    )
    (verdict,) = await ask(shared_host, asked)
    assert verdict.metadata["it"] == [
        "ü\u0000😀",
        "openai",
        "chat.completions",
        "invoke",
        {"a": [1, -(2**63), 2**64 - 1, 0.1, None, True, {"": ""}], "usd": "0.10000000000000000001"},
        {"ip": "192.0.2.7"},
        "2026-03-02T12:00:00.000001+00:00",
        {},
    ]


async def test_only_plugins_with_needs_wait_for_facts(shared_host, write_plugin):
    """The others are asked at once; facts are looked up once for all that need them."""
    looked_up = []

    async def facts(need: str) -> object:
        looked_up.append(need)
        await asyncio.sleep(0.15)
        return {"status": "ok", "accounts": [{"limit_usd": Decimal("10.50")}]}

    for name in ("needs1", "needs2"):
        await shared_host.load(write_plugin(SHOW, name=name, needs=["budget_status"]))
    await shared_host.load(write_plugin(SHOW, name="free"))
    first, second, third = await shared_host.evaluate(question(), deadline_s=5, facts=facts)
    assert looked_up == ["budget_status"]
    assert (first.plugin, first.reason) == ("free", "{}")
    assert first.elapsed_ms < 140
    expected = "{'budget': {'status': 'ok', 'accounts': [{'limit_usd': '10.50'}]}}"
    assert [second.reason, third.reason] == [expected, expected]


async def test_facts_are_not_looked_up_after_a_denial(shared_host, write_plugin):
    """An early denial spares the look-up."""

    async def facts(need: str) -> object:
        raise AssertionError("looked up")

    await shared_host.load(write_plugin(DENY, name="early", priority=1))
    await shared_host.load(write_plugin(SHOW, name="late", needs=["budget_status"]))
    assert [v.plugin for v in await shared_host.evaluate(question(), deadline_s=5, facts=facts)] == ["early"]


async def test_facts_that_cannot_be_had_deny(shared_host, write_plugin):
    """An error, a wait beyond the deadline and an unsendable value each deny with what happened."""
    await shared_host.load(write_plugin(SHOW, needs=["budget_status"]))

    async def down(need: str) -> object:
        raise DatabaseUnavailableError

    async def hangs(need: str) -> object:
        await asyncio.sleep(60)

    async def unsendable(need: str) -> object:
        return object()

    seen = []
    for facts in (down, hangs, unsendable):
        (verdict,) = await shared_host.evaluate(question(), deadline_s=0.1, facts=facts)
        assert verdict.allowed is False
        seen.append((verdict.status, verdict.reason.split(":")[0]))
    assert seen == [
        ("error", "budget_status cannot be had"),
        ("timeout", "budget_status was not known before the caller's deadline"),
        ("error", "budget_status cannot be handed to a plugin"),
    ]


async def test_on_error_skip_permits_and_says_so(shared_host, write_plugin):
    """Whatever fails, a plugin that may be skipped is, with the status kept; its own denial still counts."""
    body = (
        "if context.principal_id == 'killer': reach('os')._exit(7)\n"
        "if context.principal_id == 'broken': raise ValueError\n"
        "return PolicyDecision(context.principal_id != 'denied', 'own word')"
    )
    await shared_host.load(write_plugin(body, on_error="skip"))
    await shared_host.load(write_plugin(ALLOW, name="after", priority=200))
    seen = {}
    for name in ("killer", "broken", "denied", "fine"):
        verdicts = await ask(shared_host, question(name))
        seen[name] = (verdicts[0].status, verdicts[0].allowed, verdicts[0].skipped, len(verdicts))
    assert seen == {
        "killer": ("crashed", True, True, 2),
        "broken": ("error", True, True, 2),
        "denied": ("ok", False, False, 1),
        "fine": ("ok", True, False, 2),
    }


async def test_the_manifest_may_shorten_the_time(shared_host, write_plugin):
    """`timeout_ms` counts from the call's start and kills like any limit."""
    await shared_host.load(write_plugin("time.sleep(60)", timeout_ms=100))
    (verdict,) = await ask(shared_host)
    assert (verdict.status, verdict.reason) == ("timeout", "time limit: no answer within 100 ms")


UNSENDABLE = {
    "an object": {"a": object()},
    "a lone surrogate": {"a": "\ud800"},
    "a huge integer": {"a": 1 << 64},
}


@pytest.mark.parametrize("case", UNSENDABLE)
async def test_a_question_that_cannot_be_sent_denies(shared_host, write_plugin, case):
    """It is an error of the question: no process comes to harm, and later plugins are not asked."""
    await shared_host.load(write_plugin(ALLOW, name="first", priority=1))
    await shared_host.load(write_plugin(ALLOW, name="second", priority=2))
    (verdict,) = await ask(shared_host, question(arguments=UNSENDABLE[case]))
    assert (verdict.plugin, verdict.status, verdict.allowed) == ("first", "error", False)
    assert verdict.reason.startswith("the question cannot be handed to a plugin: ")
    assert [v.status for v in await ask(shared_host)] == ["ok", "ok"]


async def test_a_time_without_a_zone_is_no_question(shared_host, write_plugin):
    """A naive timestamp would mean another instant to every reader."""
    await shared_host.load(write_plugin(ALLOW))
    (verdict,) = await ask(shared_host, question(timestamp=NOON.replace(tzinfo=None)))
    assert (verdict.status, verdict.allowed) == ("error", False)
    assert "no time zone" in verdict.reason


async def test_a_question_is_never_cut_short(shared_host, write_plugin):
    """Just below 1 MiB it arrives whole; above, it is denied with its size."""
    await shared_host.load(write_plugin("return PolicyDecision(True, str(len(context.arguments['text'])))"))
    fits = (1 << 20) - 300
    (verdict,) = await ask(shared_host, question(arguments={"text": "x" * fits}))
    assert (verdict.status, verdict.reason) == ("ok", str(fits))
    (verdict,) = await ask(shared_host, question(arguments={"text": "x" * (1 << 20)}))
    assert (verdict.status, verdict.allowed) == ("error", False)
    assert "a plugin is handed at most 1048576" in verdict.reason
    assert [v.status for v in await ask(shared_host, question(arguments={"text": "x"}))] == ["ok"]


@pytest.mark.parametrize("depth", [500, 900, 950, 980, 999, 1_000, 5_000])
async def test_a_deep_question_denies_or_arrives(shared_host, write_plugin, depth):
    """Wherever the nesting becomes too deep, it is an error of that question alone."""
    await shared_host.load(write_plugin(ALLOW))
    nested: object = []
    for _ in range(depth):
        nested = [nested]
    (verdict,) = await ask(shared_host, question(arguments={"nested": nested}))
    assert verdict.status == ("ok" if verdict.allowed else "error")
    if depth not in range(900, 1_000):  # in between it depends on how deep the worker itself is
        assert verdict.allowed is (depth < 900)
    assert [v.status for v in await ask(shared_host)] == ["ok"]


async def test_facts_hang_on_their_own(shared_host, write_plugin):
    """A caller that cancels while facts are looked up leaves nothing behind."""
    await shared_host.load(write_plugin(SHOW, needs=["budget_status"]))

    async def hangs(need: str) -> object:
        await asyncio.sleep(60)

    asked = asyncio.create_task(shared_host.evaluate(question(), deadline_s=60, facts=hangs))
    await asyncio.sleep(0.02)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await shared_host.unload("written")
    assert await shared_host.evaluate(question(), deadline_s=1, facts=no_facts) == ()
