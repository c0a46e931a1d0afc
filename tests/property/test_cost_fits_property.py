"""What would have fitted: one token more would not have."""

from __future__ import annotations

from typing import Any

from fixtures.cost import NOW, costing
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sark_opa.cost import Call

CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("openai", {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}, "max_tokens"),
    ("openai", {"model": "gpt-5.4", "messages": [{"role": "user", "content": "hi " * 999}]}, "max_completion_tokens"),
    ("openai", {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], "n": 3}, "max_completion_tokens"),
    ("openai", {"model": "gpt-5", "input": "hi", "instructions": "be brief"}, "max_output_tokens"),
    ("openai", {"model": "no-such-model", "messages": [{"role": "user", "content": "hi"}]}, "max_tokens"),
    ("anthropic", {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]}, "max_tokens"),
    (
        "anthropic",
        {
            "model": "claude-sonnet-4-5",
            "messages": [{"role": "user", "content": "hi"}],
            "thinking": {"type": "enabled", "budget_tokens": 1_024},
        },
        "max_tokens",
    ),
]


@settings(deadline=None)
@given(case=st.sampled_from(CALLS), asked=st.integers(2_000, 100_000), share=st.integers(0, 999))
def test_the_largest_limit_that_fits_fits_and_one_more_does_not(
    case: tuple[str, dict[str, Any], str], asked: int, share: int
) -> None:
    """For any part of the bound that is left, and every dialect."""
    resource, body, field = case

    def bound(limit: int) -> int:
        found = costing().estimate_now(Call(resource, "llm", "chat", body | {field: limit}), NOW)
        assert found.upper_bound_nanousd is not None
        return found.upper_bound_nanousd

    estimate = costing().estimate_now(Call(resource, "llm", "chat", body | {field: asked}), NOW)
    remaining = (estimate.upper_bound_nanousd or 0) * share // 1000
    fitting = costing().fits(estimate, remaining)
    least = {"max_output_tokens": 16}.get(field, 1_025 if "thinking" in body else 1)
    if fitting is None:
        assert bound(least) > remaining
        return
    limit = fitting["max_tokens"]
    assume(limit < asked)
    assert limit >= least
    assert bound(limit) <= remaining < bound(limit + 1)
