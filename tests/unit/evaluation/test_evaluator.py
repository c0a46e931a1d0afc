"""How the parts of one evaluation go together: at the same time, under one deadline, each failure a fact.

The ledger and the plugins stand in for parts that are slow, failing or gone on cue; the estimate is real.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fixtures.evaluation import CHAT, ScriptedLedger, ScriptedPlugins, evaluator, outcome, question

from sark_opa.budget.ledger import Blocked, HoldOutcome, HoldRequest
from sark_opa.errors import DatabaseUnavailableError, DeadlineExceededError, UnavailableError, UnknownAccountError
from sark_opa.sandbox import Verdict

pytestmark = pytest.mark.anyio


async def test_money_and_plugins_are_asked_at_the_same_time() -> None:
    """Each waits for the other to have begun; one after the other would never end."""
    ledger_began, plugins_began = asyncio.Event(), asyncio.Event()

    async def hold(request: HoldRequest) -> HoldOutcome:
        ledger_began.set()
        await plugins_began.wait()
        return outcome(request)

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        plugins_began.set()
        await ledger_began.wait()
        return ()

    answer = evaluator(ScriptedLedger(hold), ScriptedPlugins(said)).answer(question(), hold=True)
    found = await asyncio.wait_for(answer, 10)
    assert found.budget.status == "ok"
    assert found.errors == ()


@pytest.mark.parametrize(("asked_ms", "own_ms", "most_s"), [(None, 700, 0.7), (300, 700, 0.3), (60_000, 700, 0.7)])
async def test_one_deadline_for_all_parts(asked_ms: int | None, own_ms: int, most_s: float) -> None:
    """The caller's patience or the service's own limit, whichever is shorter, less what is gone already."""

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        return ()

    ledger, plugins = ScriptedLedger(), ScriptedPlugins(said)
    await evaluator(ledger, plugins, own_ms).answer(question(), hold=True, deadline_ms=asked_ms)
    ((_, given_s),) = ledger.asked
    assert given_s is not None
    assert 0 <= given_s < most_s
    assert 0 < plugins.deadline_s <= most_s


@pytest.mark.parametrize("error", [DatabaseUnavailableError, DeadlineExceededError])
async def test_a_ledger_that_fails_is_a_fact(error: type[UnavailableError]) -> None:
    """The budget is unavailable, the answer degraded, and the code says why; the rest is there."""

    async def hold(_request: HoldRequest) -> HoldOutcome:
        raise error

    found = await evaluator(ScriptedLedger(hold)).answer(question(), hold=True)
    assert (found.budget.status, found.budget.hold, found.degraded) == ("unavailable", None, True)
    assert [(fault.code, fault.source) for fault in found.errors] == [(error.code, "budget")]
    assert found.estimate.status == "priced"


async def test_an_account_nobody_registered_is_a_fact() -> None:
    """With its name; nothing is degraded, since this is known."""

    async def hold(_request: HoldRequest) -> HoldOutcome:
        return HoldOutcome("unknown_account", None, None, (), unknown="acme/principal/ada")

    found = await evaluator(ScriptedLedger(hold)).answer(question(), hold=True)
    assert (found.budget.status, found.budget.unknown, found.degraded) == (
        "unknown_account",
        "acme/principal/ada",
        False,
    )
    assert [fault.code for fault in found.errors] == [UnknownAccountError.code]


async def test_plugins_that_cannot_be_asked_are_a_fact() -> None:
    """No verdict, and an error that Rego denies on."""

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        raise UnavailableError("no process can be had")

    found = await evaluator(plugins=ScriptedPlugins(said)).answer(question(), hold=True)
    assert (found.verdicts, found.degraded) == ((), True)
    assert [(fault.code, fault.source) for fault in found.errors] == [("unavailable", "plugins")]


async def test_a_plugin_that_needs_the_budget_gets_what_was_answered() -> None:
    """It waits for it, and sees the hold that was made."""
    handed: list[Any] = []

    async def said(facts: Any) -> tuple[Verdict, ...]:
        handed.append(await facts("budget_status"))
        with pytest.raises(Exception, match="nothing called 'passwords'"):
            await facts("passwords")
        return ()

    found = await evaluator(plugins=ScriptedPlugins(said)).answer(question(), hold=True)
    assert found.errors == ()
    assert handed[0]["status"] == "ok"
    assert handed[0]["hold"]["id"] == "h1"


@pytest.mark.parametrize(
    ("arguments", "status", "codes"),
    [
        ({"messages": []}, "error", ["model_missing"]),
        ({**CHAT, "n": 0}, "error", ["arguments_invalid"]),
    ],
)
async def test_what_cannot_be_estimated_holds_nothing(arguments: dict[str, Any], status: str, codes: list[str]) -> None:
    """The budgets are looked at all the same, and no amount is 0."""
    ledger = ScriptedLedger()
    found = await evaluator(ledger).answer(question(arguments=arguments), hold=True)
    assert [what for what, _ in ledger.asked] == ["status"]
    assert (found.estimate.status, found.estimate.expected_usd, found.estimate.upper_bound_usd) == (status, None, None)
    assert [fault.code for fault in found.errors] == codes
    assert found.budget.hold is None


async def test_a_look_holds_nothing() -> None:
    """Without `hold` the ledger is asked for the status alone, and judged against the cost."""
    ledger = ScriptedLedger()
    found = await evaluator(ledger).answer(question(arguments=CHAT | {"max_tokens": 16_000, "n": 100}), hold=False)
    assert [what for what, _ in ledger.asked] == ["status"]
    assert found.budget.status == "exceeded"
    assert found.budget.blocked_by is not None
    assert found.budget.blocked_by.needed_usd > 1


async def test_what_does_not_fit_says_what_would() -> None:
    """The window in the way, what is needed of it, and a limit that would pass."""

    async def hold(request: HoldRequest) -> HoldOutcome:
        return outcome(request, "blocked", Blocked("acme", "day"))

    dear = question(arguments=CHAT | {"max_tokens": 16_000, "n": 8})
    found = await evaluator(ScriptedLedger(hold)).answer(dear, hold=True)
    blocked = found.budget.blocked_by
    assert found.budget.status == "exceeded"
    assert blocked is not None
    assert (blocked.account, blocked.window, blocked.remaining_usd) == ("acme", "day", 1)
    assert blocked.fits is not None
    assert 0 < blocked.fits["max_tokens"] < 16_000


async def test_a_conflict_hands_nobody_elses_hold_out() -> None:
    """The hold of the other request is not shown."""

    async def hold(request: HoldRequest) -> HoldOutcome:
        return outcome(request, "conflict")

    found = await evaluator(ScriptedLedger(hold)).answer(question(), hold=True)
    assert found.budget.hold is None
    assert [fault.code for fault in found.errors] == ["request_id_conflict"]


async def test_a_caller_who_goes_takes_the_plugins_along() -> None:
    """Nothing goes on for an evaluation that was cancelled."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return ()

    task = asyncio.create_task(evaluator(plugins=ScriptedPlugins(said)).answer(question(), hold=True))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 10)


async def test_the_fingerprint_follows_what_is_asked_for() -> None:
    """Another body is another request; another address of the caller is not."""
    first = question().fingerprint()
    assert question(environment={"ip": "192.0.2.1"}).fingerprint() == first
    assert question(arguments=CHAT | {"max_tokens": 101}).fingerprint() != first
    assert question(principal={"id": "bob", "org": "acme"}).fingerprint() != first
    assert question(usage={"input_tokens": 5}).fingerprint() != first
