"""How busy the service is, as plugins are told."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fixtures.evaluation import ScriptedLedger, ScriptedPlugins, evaluator, question
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.budget.ledger import HoldOutcome, HoldRequest
from sark_opa.errors import DatabaseUnavailableError, UnknownAccountError
from sark_opa.evaluation.load import WINDOW_S, HostLoad
from sark_opa.sandbox import Verdict


def test_a_service_nobody_asks_is_idle() -> None:
    """Every figure is there, and none is made up."""
    assert HostLoad(8).fact() == {"in_flight": 0, "in_flight_max": 8, "load": 0.0, "error_rate": 0.0, "window_s": 60}


def test_load_is_what_is_in_flight_of_what_may_be() -> None:
    """It does not go beyond 1."""
    load = HostLoad(4)
    seen = []
    for _ in range(5):
        load.begin()
        seen.append((load.fact()["in_flight"], load.fact()["load"]))
    assert seen == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0), (5, 1.0)]
    load.end(failed=False)
    assert load.fact()["in_flight"] == 4


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_the_error_rate_is_that_of_the_last_minute(answers: list[tuple[int, bool]]) -> None:
    """Equal to counting one by one, second by second."""
    now = [0.0]
    load = HostLoad(4, lambda: now[0])
    seen: list[tuple[float, bool]] = []
    for gap, failed in answers:
        now[0] += gap
        load.begin()
        load.end(failed=failed)
        seen.append((now[0], failed))
        recent = [failed for at, failed in seen if at > now[0] - WINDOW_S]
        assert load.fact()["error_rate"] == sum(recent) / len(recent)
    now[0] += WINDOW_S
    assert load.fact()["error_rate"] == 0.0
    assert len(load._seconds) == 0


async def _told(facts: Any, seen: list[Any]) -> tuple[Verdict, ...]:
    seen.append(await facts("host_load"))
    seen.append(await facts("clock"))
    return ()


@pytest.mark.anyio
async def test_plugins_are_told_of_the_load_and_the_clock() -> None:
    """Their own question is in flight; the clock is the service's, in UTC."""
    seen: list[Any] = []
    asked = evaluator(plugins=ScriptedPlugins(lambda facts: _told(facts, seen)))
    before, started = datetime.now(UTC), time.monotonic()
    await asyncio.gather(*(asked.answer(question(), hold=False) for _ in range(3)))
    loads, clocks = seen[::2], seen[1::2]
    assert {load["in_flight"] for load in loads} == {3}
    assert {load["error_rate"] for load in loads} == {0.0}
    for clock in clocks:
        assert before <= datetime.fromisoformat(clock["now"]) <= datetime.now(UTC)
        assert started <= clock["monotonic_s"] <= time.monotonic()
    assert asked._load.fact()["in_flight"] == 0


@pytest.mark.anyio
async def test_what_the_service_could_not_find_out_is_a_failure() -> None:
    """A ledger that fails is; a question about something nobody registered is not: callers must not tighten limits."""
    errors: list[Exception] = [DatabaseUnavailableError("no"), UnknownAccountError("no", account="acme")]

    async def hold(_request: HoldRequest) -> HoldOutcome:
        raise errors.pop(0)

    asked = evaluator(ScriptedLedger(hold))
    await asked.answer(question(), hold=True)
    assert asked._load.fact()["error_rate"] == 1.0
    await asked.answer(question(), hold=True)
    assert asked._load.fact()["error_rate"] == 0.5
