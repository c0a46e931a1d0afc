"""CostAttributionService and its records: the names and the snippets of SARK v2.0, on the ledger."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from fixtures.plugins import bundled_module, context

from sark_opa.attribution import CostAttributionService
from sark_opa.budget.ledger import Account
from sark_opa.cost import CostTracker
from sark_opa.cost.estimators import FixedCostEstimator, InvocationRequest, InvocationResult
from sark_opa.cost.provider_estimators import OpenAICostEstimator
from sark_opa.errors import ConfigurationError, InvalidInputError, RequestIdConflictError
from sark_opa.storage.ledger import PostgresLedger

pytestmark = pytest.mark.anyio

CALL = {"principal_id": "user-123", "resource_id": "openai", "capability_id": "chat.completions"}


@pytest.fixture
async def service(anyio_backend, database_url):
    """On connections of its own, as a program makes it."""
    async with await CostAttributionService.connect(database_url) as service:
        yield service


def request_of(principal="user-123"):
    """A small chat call."""
    arguments = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 100}
    return InvocationRequest(capability_id="chat.completions", principal_id=principal, arguments=arguments)


async def test_the_snippet_of_estimate_budget_and_check(service, capsys):
    """As it is printed: estimate, set a budget, check; and no when it does not fit."""
    request = request_of()
    estimator = OpenAICostEstimator()
    estimate = await estimator.estimate_cost(request, {"model": "gpt-4-turbo"})
    print(f"Estimated cost: ${estimate.estimated_cost:.4f}")  # noqa: T201  # as it is printed
    assert capsys.readouterr().out.startswith("Estimated cost: $0.00")
    await service.set_budget(principal_id="user-123", daily_budget=Decimal("10.00"), monthly_budget=Decimal("100.00"))
    allowed, reason = await service.check_budget("user-123", estimate.estimated_cost)
    assert (allowed, reason) == (True, None)
    allowed, reason = await service.check_budget("user-123", Decimal("10.01"))
    assert (allowed, reason) == (
        False, "the day budget of default/principal/user-123 has 10 USD left, and this costs 10.01 USD"
    )  # fmt: skip


async def test_checking_grants_nothing_and_recording_does_count(service):
    """However often it is asked, nothing is spent or held; what is recorded is."""
    await service.set_budget("user-123", Decimal(1), Decimal(2))
    for _ in range(3):
        assert (await service.check_budget("user-123", Decimal("0.9")))[0]
    status = await service.get_budget_status("user-123")
    assert (status.daily_spent, status.daily_held, status.daily_remaining) == (0, 0, 1)
    await service.record_cost(**CALL, actual_cost=Decimal("0.25"))
    status = await service.get_budget_status("user-123")
    assert (status.daily_budget, status.monthly_budget) == (1, 2)
    assert (status.daily_spent, status.daily_remaining, status.daily_percent_used) == (
        Decimal("0.25"),
        Decimal("0.75"),
        25,
    )
    assert (status.monthly_remaining, status.monthly_percent_used) == (Decimal("1.75"), 12.5)
    assert status.daily_resets_at <= status.monthly_resets_at
    assert [(above.account, above.window) for above in status.ancestors] == [("default", "day"), ("default", "month")]
    assert (await service.check_budget("user-123", Decimal("0.8")))[0] is False
    assert (await service.get_budget_status("somebody-else")).daily_spent == 0


async def test_a_record_is_booked_once_under_its_request_id(service):
    """The same again is the same record; with another figure it is refused; without an id each is a new one."""
    first = await service.record_cost(**CALL, actual_cost=Decimal("0.5"), request_id="r1", metadata={"trace": "t"})
    again = await service.record_cost(**CALL, actual_cost=Decimal("0.5"), request_id="r1", metadata={"trace": "t"})
    assert first == again
    assert (first.actual_cost, first.estimated_cost, first.estimated) == (Decimal("0.5"), Decimal("0.5"), False)
    with pytest.raises(RequestIdConflictError):
        await service.record_cost(**CALL, actual_cost=Decimal("0.6"), request_id="r1", metadata={"trace": "t"})
    for _ in range(2):
        await service.record_cost(**CALL, estimated_cost=Decimal("0.1"))
    summary = await service.get_cost_summary(principal_id="user-123")
    assert (summary.total_cost, summary.record_count) == (Decimal("0.7"), 3)


async def test_what_is_kept_with_a_record(service, execute):
    """Breakdown, metadata, tags and tokens; an estimate is marked as one."""
    record = await service.record_cost(
        **CALL, estimated_cost=Decimal("0.1"), provider="openai", model="gpt-4o", tags={"env": "prod"},
        breakdown={"input_usd": Decimal("0.1"), "input_tokens": 40, "output_tokens": -1, "cache_read_tokens": True},
        metadata={"trace": "t"},
    )  # fmt: skip
    assert record.estimated
    assert record.breakdown == {"input_usd": "0.1", "input_tokens": 40, "output_tokens": -1, "cache_read_tokens": True}
    kept = execute("select usage ->> 'metadata', tokens, tags, estimated, model from sark.cost_tracking")
    assert kept == [('{"trace": "t"}', {"input_tokens": 40}, {"env": "prod"}, True, "gpt-4o")]


async def test_summaries_by_what_is_asked(service):
    """By principal, resource, capability and provider, of a period, by provider in the breakdown."""
    for principal, resource, capability, provider, cost in (
        ("a", "openai", "chat", "openai", 1), ("a", "openai", "embed", "openai", 2),
        ("a", "bedrock", "chat", "anthropic", 4), ("b", "mcp", "call", None, 8),
    ):  # fmt: skip
        await service.record_cost(
            principal_id=principal, resource_id=resource, capability_id=capability, provider=provider,
            actual_cost=Decimal(cost),
        )  # fmt: skip
    totals = {
        "principal_id": ("a", 7), "resource_id": ("openai", 3), "capability_id": ("chat", 5), "provider": ("openai", 3),
    }  # fmt: skip
    for name, (value, total) in totals.items():
        summary = await service.get_cost_summary(**{name: value})
        assert (summary.total_cost, getattr(summary, name)) == (total, value)
    summary = await service.get_cost_summary(principal_id="a", capability_id="chat")
    assert (summary.total_cost, summary.record_count) == (5, 2)
    summary = await service.get_cost_summary()
    assert (summary.total_cost, summary.breakdown) == (15, {"": 8, "anthropic": 4, "openai": 3})
    now = datetime.now(UTC)
    since = await service.get_cost_summary("a", period_start=now - timedelta(days=7))
    assert (since.total_cost, since.period_start) == (7, now - timedelta(days=7))
    before = await service.get_cost_summary("a", period_start=date(2024, 1, 1), period_end=date(2024, 2, 1))
    assert (before.total_cost, before.record_count, before.breakdown) == (0, 0, {})
    with pytest.raises(InvalidInputError, match="time zone"):
        await service.get_cost_summary(period_start=datetime(2024, 1, 1))  # noqa: DTZ001  # what is refused
    with pytest.raises(InvalidInputError, match="zero length"):
        await service.get_cost_summary(period_start=now, period_end=now)


async def test_each_org_is_for_itself(service, pool):
    """The same principal id in another org has other budgets and other costs."""
    other = CostAttributionService(pool, org="beta")
    await service.record_cost(**CALL, actual_cost=Decimal(1))
    await other.record_cost(**CALL, actual_cost=Decimal(2))
    assert (await service.get_cost_summary()).total_cost == 1
    assert (await other.get_cost_summary("user-123")).total_cost == 2
    assert (await other.get_budget_status("user-123")).daily_spent == 2
    await other.close()


async def test_budgets_above_count_too(service, pool):
    """A call fits when it fits everywhere; the reason names who has too little. Setting a budget moves nobody."""
    ledger = PostgresLedger(pool)
    await ledger.put_account(Account("default", None, daily_limit_nanousd=10**9, unknown_principals="create"))
    await ledger.put_account(Account("default/team/ml", "default", timezone="Asia/Tokyo"))
    await ledger.put_account(Account("default/principal/ada", "default/team/ml", timezone="Asia/Tokyo"))
    await service.set_budget("ada", daily_budget=Decimal(5))
    account = await ledger.get_account("default/principal/ada")
    assert (account.parent, account.timezone, account.daily_limit_nanousd) == (
        "default/team/ml",
        "Asia/Tokyo",
        5 * 10**9,
    )
    assert await service.check_budget("ada", Decimal(2)) == (
        False, "the day budget of default has 1 USD left, and this costs 2 USD"
    )  # fmt: skip
    await ledger.put_account(Account("default", None))
    assert await service.check_budget("new", Decimal(0)) == (False, "no account default/principal/new is registered")
    await ledger.close()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"actual_cost": Decimal(-1)}, "below zero"),
        ({}, "unknown is not nothing"),
        ({"actual_cost": Decimal(1), "currency": "EUR"}, "not converted"),
        ({"actual_cost": Decimal("NaN")}, "not a finite amount"),
        ({"actual_cost": Decimal(1), "metadata": {"x": object()}}, "JSON"),
        ({"actual_cost": Decimal(1), "tags": {"a=b": "c"}}, "tags: a name"),
    ],
)
async def test_what_is_no_cost_is_not_booked(service, execute, call, message):
    """Refused with the reason, and nothing is written."""
    with pytest.raises(InvalidInputError, match=message):
        await service.record_cost(**CALL, **call)
    assert execute("select count(*) from sark.cost_tracking") == [(0,)]


async def test_the_tracker_checks_and_records_through_it(service):
    """CostTracker with a service behind it: estimate, check, record what the provider billed."""
    cost_tracker = CostTracker(service)
    cost_tracker.register_estimator("openai", OpenAICostEstimator())
    cost_tracker.register_estimator("flat", FixedCostEstimator(Decimal("0.25")))
    await service.set_budget("user-123", daily_budget=Decimal("0.40"))
    resource = {"provider": "openai", "model": "gpt-4o"}
    assert await cost_tracker.check_budget_before_invocation(request_of(), resource) == (True, None)
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    result = InvocationResult(success=True, result={"model": "gpt-4o", "usage": usage}, duration_ms=1.0)
    booked = await cost_tracker.record_invocation_cost(request_of(), result, "openai", resource)
    assert booked.metadata["actual"]
    await cost_tracker.record_invocation_cost(request_of(), result, "tool", {"provider": "flat"})
    allowed, reason = await cost_tracker.check_budget_before_invocation(request_of(), {"provider": "flat"})
    assert not allowed
    assert "0.149775 USD left" in reason
    summary = await service.get_cost_summary("user-123")
    assert summary.total_cost == booked.estimated_cost + Decimal("0.25")


async def test_the_cost_aware_plugin_asks_it(service):
    """As in the snippet: warned at 80 % of a budget, denied at 95 %."""
    plugin = bundled_module("cost_aware").CostAwarePlugin(
        cost_service=service, warning_threshold=0.8, deny_threshold=0.95
    )
    await service.set_budget("user-123", daily_budget=Decimal(1))
    levels = []
    for cost in ("0.5", "0.3", "0.15"):
        await service.record_cost(**CALL, actual_cost=Decimal(cost))
        decision = await plugin.evaluate(context("user-123"))
        levels.append((decision.metadata["level"], decision.allowed))
    assert levels == [("ok", True), ("warning", True), ("exceeded", False)]


async def test_many_at_once_are_each_booked(service):
    """Concurrent records of one principal: every one counts, none twice."""
    record = functools.partial(service.record_cost, **CALL, actual_cost=Decimal("0.01"))
    await asyncio.gather(*(record(request_id=f"r{number % 10}") for number in range(20)))
    assert (await service.get_budget_status("user-123")).daily_spent == Decimal("0.1")


async def test_a_database_that_is_none_is_told_at_once():
    """Connecting fails with the reason."""
    with pytest.raises(ConfigurationError, match="SARK_DATABASE_URL"):
        await CostAttributionService.connect("no=url=at all")
