"""How the parts of one evaluation go together: at the same time, under one deadline, each failure a fact.

The ledger and the plugins stand in for parts that are slow, failing or gone on cue; the estimate is real.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sark_opa.budget.ledger import AccountWindow, Blocked, Hold, HoldOutcome, HoldRequest
from sark_opa.cost import CostEstimator, Costing
from sark_opa.errors import DatabaseUnavailableError, DeadlineExceededError, UnavailableError, UnknownAccountError
from sark_opa.evaluation.evaluator import Evaluator
from sark_opa.evaluation.question import Question
from sark_opa.metrics import Metrics
from sark_opa.sandbox import Verdict

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = AccountWindow("acme", "org", "day", 10**9, 0, 0, NOW, NOW, "hard")
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}


def question(**changes: Any) -> Question:
    """A chat call."""
    return Question.model_validate(
        {
            "request_id": "r1",
            "principal": {"id": "ada", "org": "acme"},
            "resource": {"id": "openai", "type": "llm"},
            "capability": {"id": "chat.completions"},
            "arguments": CHAT,
        }
        | changes
    )


def outcome(request: HoldRequest, status: Any = "held", blocked: Blocked | None = None) -> HoldOutcome:
    """What a ledger answers."""
    hold = Hold(
        "h1", request.org, request.request_id, "acme", ("acme",), "held", request.upper_nanousd, None, NOW, NOW,
        request.attribution,
    )  # fmt: skip
    return HoldOutcome(status, None if status == "blocked" else hold, blocked, (DAY,))


class ScriptedLedger:
    """Answers as told and remembers what it was asked."""

    def __init__(self, hold: Callable[[HoldRequest], Awaitable[HoldOutcome]] | None = None) -> None:
        self.asked: list[tuple[str, float | None]] = []
        self.requests: list[HoldRequest] = []
        self._hold = hold

    async def hold(self, request: HoldRequest, *, deadline_s: float | None = None) -> HoldOutcome:
        """As scripted, or held."""
        self.asked.append(("hold", deadline_s))
        self.requests.append(request)
        return outcome(request) if self._hold is None else await self._hold(request)

    async def status(self, *_: Any, deadline_s: float | None = None) -> tuple[AccountWindow, ...]:
        """One window with a dollar left."""
        self.asked.append(("status", deadline_s))
        return (DAY,)


class ScriptedPlugins:
    """One plugin that says what `said` gives."""

    def __init__(self, said: Callable[[Any], Awaitable[tuple[Verdict, ...]]] | None = None) -> None:
        self._said = said
        self.deadline_s = 0.0

    def plugins(self) -> tuple[str, ...]:
        """Something, when it says anything."""
        return () if self._said is None else ("scripted",)

    async def evaluate(self, _question: Any, *, deadline_s: float, facts: Any) -> tuple[Verdict, ...]:
        """As scripted."""
        assert self._said is not None
        self.deadline_s = deadline_s
        return await self._said(facts)


def evaluator(
    ledger: ScriptedLedger | None = None, plugins: ScriptedPlugins | None = None, deadline_ms: int = 1_500
) -> Evaluator:
    """An evaluator of real estimates."""
    return Evaluator(
        costing=Costing(),
        ledger=ledger or ScriptedLedger(),  # type: ignore[arg-type]  # of the protocol, what an evaluation asks
        plugins=plugins or ScriptedPlugins(),  # type: ignore[arg-type]  # same
        metrics=Metrics(),
        hold_ttl_s=60,
        deadline_ms=deadline_ms,
    )


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


class SlowEstimator(CostEstimator):
    """An estimator an operator registered, which never comes to an end."""

    provider_name = "slow"

    async def estimate_cost(self, *_: Any) -> Any:
        """Nothing, for a long time."""
        await asyncio.sleep(600)

    async def record_actual_cost(self, *_: Any) -> Any:
        """Nothing."""


async def test_a_slow_estimate_starves_nobody() -> None:
    """At the deadline it is a fact that the cost is unknown; plugins have answered meanwhile, nothing is held."""

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        return (Verdict("p", "1", allowed=True, reason="fine", metadata={}, status="ok", elapsed_ms=1.0),)

    ledger = ScriptedLedger()
    slow = evaluator(ledger, ScriptedPlugins(said), deadline_ms=50)
    slow._costing.register_estimator("openai", SlowEstimator())
    found = await asyncio.wait_for(slow.answer(question(), hold=True), 10)
    assert (found.estimate.status, found.estimate.upper_bound_usd, found.degraded) == ("error", None, True)
    assert ("deadline_exceeded", "estimate") in [(fault.code, fault.source) for fault in found.errors]
    assert [what for what, _ in ledger.asked] == ["status"]
    assert ledger.asked[0][1] == 0
    assert [verdict.plugin for verdict in found.verdicts] == ["p"]


async def test_an_unknown_cost_is_no_cost_of_nothing() -> None:
    """Where nothing is left, a call without a price is in the way of it too, and needs more than 0."""

    class Spent(ScriptedLedger):
        async def status(self, *_: Any, **__: Any) -> tuple[AccountWindow, ...]:
            """All of it is spent."""
            return (AccountWindow("acme", "org", "day", 10**9, 10**9, 0, NOW, NOW, "hard"),)

    found = await evaluator(Spent()).answer(question(resource={"id": "travel-api"}, arguments={"q": "x"}), hold=True)
    assert (found.estimate.status, found.budget.status) == ("unpriced", "exceeded")
    assert found.budget.blocked_by is not None
    assert found.budget.blocked_by.needed_usd > 0


async def test_the_first_error_is_the_one_that_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    """Ledger and plugins break at once: one is raised, and nobody complains that the other was not looked at."""
    failed = asyncio.Event()

    async def hold(_request: HoldRequest) -> HoldOutcome:
        await failed.wait()
        await asyncio.sleep(0)
        raise ZeroDivisionError("the ledger")

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        failed.set()
        raise ValueError("the plugins")

    async def asked() -> None:
        with pytest.raises(ZeroDivisionError):
            await evaluator(ScriptedLedger(hold), ScriptedPlugins(said)).answer(question(), hold=True)

    await asyncio.create_task(asked())
    gc.collect()  # a task that nobody looked at complains when it is freed
    assert caplog.text == ""


async def test_a_question_that_is_none_ends_the_plugins() -> None:
    """What is refused outright leaves nobody working on it."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def said(_facts: Any) -> tuple[Verdict, ...]:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return ()

    async def hold(_request: HoldRequest) -> HoldOutcome:
        await began.wait()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await evaluator(ScriptedLedger(hold), ScriptedPlugins(said)).answer(question(), hold=True)
    await asyncio.wait_for(ended.wait(), 10)
