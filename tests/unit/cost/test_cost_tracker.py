"""The tracker: whose price it is, what the budget says, what is booked."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from fixtures.cost import costing

from sark_opa.cost import (
    CostEstimate,
    CostEstimationError,
    CostEstimator,
    CostTracker,
    InvocationRequest,
    InvocationResult,
)
from sark_opa.errors import ConfigurationError, SarkError


def request(**arguments: Any) -> InvocationRequest:
    """A call of user-123."""
    return InvocationRequest("chat.completions", "user-123", arguments)


CHAT = request(messages=[{"role": "user", "content": "Hello, world"}], max_tokens=100)


class Budgets:
    """A budget service that answers from a list and writes into another."""

    def __init__(self, *, allows: bool) -> None:
        self.allows = allows
        self.asked: list[tuple[str, Decimal]] = []
        self.booked: list[dict[str, Any]] = []

    async def check_budget(self, principal_id: str, estimated_cost: Decimal) -> tuple[bool, str | None]:
        """Answer as constructed."""
        self.asked.append((principal_id, estimated_cost))
        return self.allows, None if self.allows else "nothing left today"

    async def record_cost(self, **cost: Any) -> object:
        """Remember."""
        self.booked.append(cost)
        return None


class PerCharacter(CostEstimator):
    """A provider sark-opa does not know: a hundredth of a cent a character."""

    @property
    def provider_name(self) -> str:
        """Whose prices."""
        return "acme"

    async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:
        """By the length of the text."""
        cost = len(request.arguments["text"]) * Decimal("0.0001")
        return CostEstimate(cost, provider="acme", model=resource_metadata.get("model"), upper_bound=cost * 2)


def test_the_tracker_estimates_by_the_resources_provider() -> None:
    """A custom estimator is used like a built-in one."""
    tracker = CostTracker(costing=costing())
    tracker.register_estimator("acme", PerCharacter())
    mine = asyncio.run(tracker.estimate_invocation_cost(request(text="abc"), {"provider": "acme"}))
    assert mine.estimated_cost == Decimal("0.0003")
    theirs = asyncio.run(tracker.estimate_invocation_cost(CHAT, {"cost_provider": "openai", "model": "gpt-4o"}))
    assert theirs.estimated_cost == Decimal("0.001025")
    free = asyncio.run(tracker.estimate_invocation_cost(CHAT, {"provider": "free"}))
    assert free.status == "free"


@pytest.mark.parametrize("metadata", [{}, {"provider": "nobody"}, {"provider": None}])
def test_the_tracker_never_makes_an_unknown_provider_free(metadata: dict[str, Any]) -> None:
    """Without an estimator there is no cost, and that is an error."""
    with pytest.raises(CostEstimationError):
        asyncio.run(CostTracker(costing=costing()).estimate_invocation_cost(CHAT, metadata))


def test_the_tracker_checks_the_budget_with_the_estimate() -> None:
    """What the budget service says is passed on."""
    budgets = Budgets(allows=False)
    tracker = CostTracker(budgets, costing=costing())
    answer = asyncio.run(tracker.check_budget_before_invocation(CHAT, {"provider": "openai", "model": "gpt-4o"}))
    assert answer == (False, "nothing left today")
    assert budgets.asked == [("user-123", Decimal("0.001025"))]


def test_the_tracker_books_what_the_provider_billed() -> None:
    """The usage's cost where there is one, the estimate where there is none."""
    budgets = Budgets(allows=True)
    tracker = CostTracker(budgets, costing=costing())
    metadata = {"provider": "openai", "model": "gpt-4o"}
    used = InvocationResult(success=True, metadata={"usage": {"prompt_tokens": 1000, "completion_tokens": 100}})
    silent = InvocationResult(success=True)
    booked = [asyncio.run(tracker.record_invocation_cost(CHAT, result, "llm-1", metadata)) for result in (used, silent)]
    assert [one.metadata["actual"] for one in booked] == [True, False]
    assert [(one["actual_cost"], one["estimated_cost"]) for one in budgets.booked] == [
        (Decimal("0.0035"), None),
        (None, Decimal("0.001025")),
    ]
    assert {(one["principal_id"], one["resource_id"], one["model"]) for one in budgets.booked} == {
        ("user-123", "llm-1", "gpt-4o")
    }


def test_a_tracker_without_budgets_says_so() -> None:
    """It estimates; checking and recording need somebody to ask."""
    tracker = CostTracker(costing=costing())
    metadata = {"provider": "openai", "model": "gpt-4o"}
    with pytest.raises(ConfigurationError, match="budget service"):
        asyncio.run(tracker.check_budget_before_invocation(CHAT, metadata))
    with pytest.raises(ConfigurationError, match="budget service"):
        asyncio.run(tracker.record_invocation_cost(CHAT, InvocationResult(success=True), "llm-1", metadata))


def test_errors_of_the_budget_service_reach_the_caller() -> None:
    """A record that failed is not a log line."""

    class Broken(Budgets):
        async def record_cost(self, **cost: Any) -> object:
            """Fail."""
            raise SarkError(f"the ledger is away: {sorted(cost)}")

    tracker = CostTracker(Broken(allows=True), costing=costing())
    with pytest.raises(SarkError, match="the ledger is away"):
        asyncio.run(
            tracker.record_invocation_cost(
                CHAT, InvocationResult(success=True), "llm-1", {"provider": "openai", "model": "gpt-4o"}
            )
        )
