"""How many tokens go in and come out: as expected, and at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sark_opa.cost.catalog import ModelFacts
from sark_opa.cost.demand import SERVER_TOOL, Basis, Demand
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.terms import Declared

ANSWER_EXPECTED: Final = 512
"""Tokens of an answer of which nothing is known but its limit, until history says better."""
REASONED_ANSWER_EXPECTED: Final = 2_048


@dataclass(slots=True)
class InputVolume:
    """Tokens of the prompt; `upper` None: nothing bounds them."""

    expected: int
    upper: int | None
    basis: Basis


@dataclass(slots=True)
class OutputVolume:
    """Tokens of the answers.

    Attributes:
        expected: over all answers.
        limit: of one answer; None: nothing limits it.
        answers: how often that limit can be used up; None: nothing limits it.
        extra: tokens billed as output beyond the limits.
        by_window: the limit is the context window.
    """

    expected: int
    limit: int | None
    answers: int | None
    extra: int = 0
    by_window: bool = False

    @property
    def upper(self) -> int | None:
        """At most, over all answers."""
        if self.limit is None or self.answers is None:
            return None
        return self.limit * self.answers + self.extra


def input_volume(demand: Demand, facts: ModelFacts, declared: Declared, window: int | None) -> InputVolume:
    """Tokens of the prompt: counted, bounded by the window where part of it is out of sight, or declared.

    Of what is counted and what is declared the larger is taken. A declaration also covers what is out of sight, but
    not what a server-side tool reads on its own.

    Args:
        demand: of the request, its texts counted.
        facts: of the model.
        declared: by the caller.
        window: context window, None where it is not known.

    Raises:
        ArgumentsInvalidError: the body holds no prompt, and its size was not declared.
    """
    stated = declared.input_tokens
    if not demand.visible and stated is None:
        raise ArgumentsInvalidError(
            "arguments", "no prompt (messages, input, contents, prompt); send it, or declare usage.input_tokens"
        )
    volume = _counted(demand, facts)
    by_window = demand.unknowable is not None and (stated is None or demand.unknowable == SERVER_TOOL)
    if by_window:
        demand.note(f"input_unknowable_{demand.unknowable}")
        volume = _in_window(volume, demand, window)
    if stated is not None and (stated > volume.expected or not demand.visible):
        volume.expected = max(volume.expected, stated)
        if not by_window:
            volume.basis = "declared"
            volume.upper = max(volume.upper or 0, stated) if demand.visible else volume.expected
    if demand.passes is None:
        volume.upper = None
    elif volume.upper is not None:
        volume.upper = max(volume.upper, volume.expected)
    return volume


def _counted(demand: Demand, facts: ModelFacts) -> InputVolume:
    """By the texts and frames of the body; a guess is cut at the window, since a longer prompt is refused."""
    meter = demand.meter
    expected = meter.expected + demand.input_fixed
    upper = max(meter.upper + demand.input_fixed_upper, expected)
    if facts.exact and not meter.bounded:
        return InputVolume(expected, upper, "exact")
    if facts.context_window is not None:
        upper = min(upper, facts.context_window)
    return InputVolume(min(expected, upper), upper, "bytes" if meter.bounded else "ratio")


def _in_window(volume: InputVolume, demand: Demand, window: int | None) -> InputVolume:
    """Part of the input is out of sight: a window for each time the model may read its context."""
    upper = None if window is None or demand.passes is None else max(window, volume.expected) * demand.passes
    return InputVolume(volume.expected * (2 if demand.unknowable == SERVER_TOOL else 1), upper, "window")


def output_volume(
    demand: Demand, facts: ModelFacts, declared: Declared, window: int | None, *, billed: bool
) -> OutputVolume:
    """Tokens of the answers: by the request's limit, else the model's cap, else the context window.

    Args:
        demand: of the request.
        facts: of the model.
        declared: by the caller; an expectation, no limit.
        window: context window, None where it is not known.
        billed: whether the model is billed by tokens at all.
    """
    if not demand.generates or not billed:
        return OutputVolume(0, 0, 1)
    limit, by_window = demand.output_limit, False
    if limit is None:
        limit, by_window = facts.max_output_tokens, facts.max_output_tokens is None
        if by_window:
            limit = window
            demand.note("output_unlimited" if window is None else "output_capped_by_window")
        else:
            demand.note("output_capped_by_model")
    passes = demand.passes if demand.limit_per_pass else 1
    usual = REASONED_ANSWER_EXPECTED if facts.reasoning else ANSWER_EXPECTED
    volume = OutputVolume(
        expected=demand.choices * (usual if limit is None else min(limit, usual)),
        limit=limit,
        answers=None if passes is None else demand.choices * passes,
        extra=demand.choices * demand.output_extra,
        by_window=by_window,
    )
    stated = declared.output_tokens
    if stated is not None:
        volume.expected = stated if volume.upper is None else min(stated, volume.upper)
    return volume
