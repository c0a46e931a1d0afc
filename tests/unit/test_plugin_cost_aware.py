"""The cost-aware plugin in process, with a cost service and with budget facts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from fixtures.plugins import bundled_module, context
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

CostAwarePlugin = bundled_module("cost_aware").CostAwarePlugin
cents = st.integers(0, 10**9)


@dataclass
class Status:
    principal_id: str = "user-123"
    daily_budget: Decimal | None = None
    daily_remaining: Decimal | None = None
    monthly_budget: Decimal | None = None
    monthly_remaining: Decimal | None = None


class Service:
    def __init__(self, status: Status | Exception) -> None:
        self.status = status
        self.asked: list[str] = []

    async def get_budget_status(self, principal_id: str) -> Status:
        self.asked.append(principal_id)
        if isinstance(self.status, Exception):
            raise self.status
        return self.status


def _decide(plugin, **fields):
    """An evaluation that never waits ends with its first step."""
    try:
        plugin.evaluate(context("user-123", **fields)).send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def _account(limit, spent, held="0", enforcement="hard", window="day"):
    return {
        "account": "acme", "kind": "org", "window": window, "limit_usd": limit, "spent_usd": spent, "held_usd": held,
        "enforcement": enforcement,
    }  # fmt: skip


@given(st.integers(1, 10**9), cents, cents)
def test_thresholds_are_exact(limit, spent, held):
    """For any amounts to the nano-dollar: denied from 95 %, warned from 80 %, in exact arithmetic."""
    usd = [str(Decimal(amount) / 10**9) for amount in (limit, spent, held)]
    decision = _decide(CostAwarePlugin(), facts={"budget": {"status": "ok", "accounts": [_account(*usd)]}})
    used = spent + held
    assert decision.allowed == (used * 100 < limit * 95)
    expected = "exceeded" if used * 100 >= limit * 95 else "warning" if used * 100 >= limit * 80 else "ok"
    assert decision.metadata["level"] == expected
    if expected != "exceeded":
        assert decision.metadata["percent_used"] < 95


async def test_in_process_a_cost_service_is_asked():
    """Origin's form: both windows count, and the fuller one is named."""
    service = Service(Status("user-123", Decimal(10), Decimal("5.00"), Decimal(100), Decimal("4.00")))
    plugin = CostAwarePlugin(cost_service=service, warning_threshold=0.8, deny_threshold=0.95)
    decision = await plugin.evaluate(context("user-123"))
    assert service.asked == ["user-123"]
    assert (decision.allowed, decision.metadata["window"], decision.metadata["percent_used"]) == (False, "month", 96.0)


@pytest.mark.parametrize(
    ("remaining", "allowed", "level"),
    [
        ("2.01", True, "ok"),
        ("2.00", True, "warning"),
        ("0.51", True, "warning"),
        ("0.50", False, "exceeded"),
        ("-3", False, "exceeded"),
    ],
)
async def test_the_service_s_daily_budget_is_judged(remaining, allowed, level):
    """Of $10 a day: from 80 % a warning, from 95 % a denial, beyond the budget all the more."""
    service = Service(Status("user-123", Decimal(10), Decimal(remaining)))
    decision = await CostAwarePlugin(cost_service=service).evaluate(context("user-123"))
    assert (decision.allowed, decision.metadata["level"]) == (allowed, level)


async def test_without_a_budget_nothing_is_denied():
    """A principal without limits passes, and the reason says why."""
    decision = await CostAwarePlugin(cost_service=Service(Status())).evaluate(context())
    assert (decision.allowed, decision.reason) == (True, "no budget applies")


async def test_facts_go_before_the_service():
    """What came with the question is what the decision will be made on."""
    service = Service(AssertionError("asked"))
    plugin = CostAwarePlugin(cost_service=service)
    decision = await plugin.evaluate(context(facts={"budget": {"status": "ok", "accounts": [_account("10", "1")]}}))
    assert decision.allowed
    assert service.asked == []


async def test_a_service_that_fails_is_no_permission():
    """Its error comes out, and whoever runs the plugin denies."""
    with pytest.raises(ConnectionError):
        await CostAwarePlugin(cost_service=Service(ConnectionError())).evaluate(context())


async def test_nobody_to_ask_denies():
    """Neither facts nor a service: unknown is not nothing."""
    decision = await CostAwarePlugin().evaluate(context())
    assert (decision.allowed, decision.metadata) == (False, {"level": "unknown"})


async def test_facts_of_another_shape_are_no_permission():
    """A missing field raises instead of counting as nothing."""
    account = _account("10", "1")
    del account["spent_usd"]
    with pytest.raises(KeyError):
        await CostAwarePlugin().evaluate(context(facts={"budget": {"status": "ok", "accounts": [account]}}))
    with pytest.raises(KeyError):
        await CostAwarePlugin().evaluate(context(facts={"budget": {}}))


WRONG = {
    "zero": ({"deny_threshold": 0}, "deny_threshold is 0"),
    "in percent": ({"deny_threshold": 95}, "deny_threshold is 95"),
    "not a number": ({"warning_threshold": float("nan")}, "warning_threshold is nan"),
    "a truth": ({"deny_threshold": True}, "deny_threshold is True"),
    "crossed": ({"warning_threshold": 0.9, "deny_threshold": 0.8}, "is above deny_threshold"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_configuration_is_named(case):
    """The message names the field and what it may be."""
    config, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        CostAwarePlugin(**config)
