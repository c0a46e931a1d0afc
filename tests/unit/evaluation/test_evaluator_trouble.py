"""What goes wrong inside an evaluation: slow parts, unknown amounts, two errors at once."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from fixtures.evaluation import NOW, ScriptedLedger, ScriptedPlugins, evaluator, question

from sark_opa.budget.ledger import AccountWindow, HoldOutcome, HoldRequest
from sark_opa.cost import CostEstimator
from sark_opa.sandbox import Verdict

pytestmark = pytest.mark.anyio


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
