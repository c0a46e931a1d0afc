"""How far estimates were off: the distribution of actual against estimated cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from sark_opa.reports.answers import PeriodAnswer
from sark_opa.reports.store import Span

_STEP: Final = Decimal("0.05")
_MOST: Final = 40
"""The last step has no upper end: three times the estimate, or more."""
_SHARE: Final = Decimal("0.000001")
_MODELS_MAX: Final = 100


class ErrorStep(msgspec.Struct, frozen=True):
    """Charges whose error is at least `from_ratio` and below `to_ratio`; the last step has no end."""

    from_ratio: Decimal
    to_ratio: Decimal | None
    charges: int


class ErrorDistribution(msgspec.Struct, frozen=True):
    """Errors, (actual - estimated) / estimated, of charges that had an estimate and whose usage is known.

    Quantiles are interpolated within steps of 5 %; in the last step, which has no end, its beginning is told. Null
    without charges. `within_10_percent` and `above_estimate` are shares of the charges.
    """

    charges: int
    p50: Decimal | None
    p90: Decimal | None
    p95: Decimal | None
    within_10_percent: Decimal | None
    above_estimate: Decimal | None


class ModelErrors(ErrorDistribution, frozen=True, kw_only=True):
    """The distribution of one model."""

    provider: str | None
    model: str | None


class AccuracyAnswer(msgspec.Struct, frozen=True):
    """How far estimates of a period were off: over all, by step, and by model, the most used first."""

    org: str
    period: PeriodAnswer
    totals: ErrorDistribution
    histogram: list[ErrorStep]
    models: list[ModelErrors]
    models_more: int
    method: str = "interpolated in steps of 0.05"


def accuracy_answer(org: str, span: Span, rows: Iterable[tuple[str, int, int]]) -> AccuracyAnswer:
    """The answer for rows of model key, step and charges."""
    by_model: dict[str, dict[int, int]] = defaultdict(dict)
    over_all: dict[int, int] = defaultdict(int)
    for key, step, charges in rows:
        by_model[key][int(step)] = charges
        over_all[int(step)] += charges
    keys = sorted(by_model, key=lambda key: (-sum(by_model[key].values()), key))
    models = []
    for key in keys[:_MODELS_MAX]:
        provider, _, model = key.partition("/")
        about = msgspec.structs.asdict(distribution_of(by_model[key]))
        models.append(ModelErrors(**about, provider=provider or None, model=model or None))
    return AccuracyAnswer(
        org=org,
        period=PeriodAnswer.of(span),
        totals=distribution_of(over_all),
        histogram=[
            ErrorStep(step * _STEP, None if step == _MOST else (step + 1) * _STEP, over_all[step])
            for step in sorted(over_all)
        ],
        models=models,
        models_more=max(0, len(keys) - _MODELS_MAX),
    )


def distribution_of(steps: Mapping[int, int]) -> ErrorDistribution:
    """What charges by step of 5 % amount to."""
    charges = sum(steps.values())
    return ErrorDistribution(
        charges=charges,
        p50=quantile(steps, Decimal("0.5")),
        p90=quantile(steps, Decimal("0.9")),
        p95=quantile(steps, Decimal("0.95")),
        within_10_percent=_part(sum(n for step, n in steps.items() if -2 <= step <= 1), charges),  # noqa: PLR2004
        above_estimate=_part(sum(n for step, n in steps.items() if step >= 0), charges),
    )


def quantile(steps: Mapping[int, int], share: Decimal) -> Decimal | None:
    """The error below which that share of the charges lies, as if each step's charges lay evenly in it."""
    wanted = share * sum(steps.values())
    below = 0
    for step in sorted(steps):
        if steps[step] and below + steps[step] >= wanted:
            into = Decimal(0) if step == _MOST else (wanted - below) / steps[step]
            return ((step + into) * _STEP).quantize(Decimal("0.0001")).normalize() + 0
        below += steps[step]
    return None


def _part(part: int, whole: int) -> Decimal | None:
    return None if whole == 0 else (Decimal(part) / whole).quantize(_SHARE).normalize() + 0
