"""What the lines of a re-rating come to: by model, by reason, and for the budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sark_opa.cost.rerating import PriceChange
from sark_opa.evaluation.rerating import Line
from sark_opa.storage.rerating import LimitedWindow

_PRICED_ANEW: Final = frozenset({"differs", "booked", "changed"})


class ModelKey(NamedTuple):
    """What totals are told apart by."""

    org: str
    provider: str | None
    model: str | None


class ReasonKey(NamedTuple):
    """Why amounts differ."""

    provider: str | None
    model: str | None
    changes: tuple[PriceChange, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class Total:
    """How many charges, and what they come to by both books, 10⁻⁹ USD."""

    charges: int = 0
    before_nanousd: int = 0
    after_nanousd: int = 0

    @property
    def difference_nanousd(self) -> int:
        """After minus before."""
        return self.after_nanousd - self.before_nanousd

    def add(self, line: Line) -> None:
        """Count a line; what cannot be priced anew stays at what is booked."""
        self.charges += 1
        self.before_nanousd += line.before_nanousd
        self.after_nanousd += line.before_nanousd + line.difference_nanousd


@dataclass(slots=True)
class Totals:
    """Sums over lines.

    Attributes:
        models: the charges that differ, by org, provider and model.
        reasons: the same, by the unit prices that changed.
        codes: all charges by the code of their line.
    """

    models: dict[ModelKey, Total] = field(default_factory=dict)
    reasons: dict[ReasonKey, Total] = field(default_factory=dict)
    codes: dict[str, Total] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Count a line."""
        self.codes.setdefault(line.code, Total()).add(line)
        if line.code in _PRICED_ANEW:
            self.models.setdefault(ModelKey(line.org, line.provider, line.model), Total()).add(line)
            reason = ReasonKey(line.provider, line.model, line.changes, line.notes)
            self.reasons.setdefault(reason, Total()).add(line)

    @property
    def differing(self) -> Total:
        """All charges that differ."""
        total = Total()
        for each in self.models.values():
            total.charges += each.charges
            total.before_nanousd += each.before_nanousd
            total.after_nanousd += each.after_nanousd
        return total


class Overrun(NamedTuple):
    """A running window that stands above its limit, or would."""

    window: LimitedWindow
    used_nanousd: int


class Pressure:
    """What new prices add to the running windows that have a limit."""

    def __init__(self, windows: Iterable[LimitedWindow]) -> None:
        self._windows: dict[str, list[LimitedWindow]] = {}
        for window in windows:
            self._windows.setdefault(window.account, []).append(window)
        self._added: dict[tuple[str, str], int] = {}

    def add(self, line: Line) -> None:
        """Count a line that is, or would be, booked."""
        for account in line.path:
            for window in self._windows.get(account, ()):
                if window.starts_at <= line.charged_at < window.ends_at:
                    key = (account, window.period)
                    self._added[key] = self._added.get(key, 0) + line.difference_nanousd

    def overruns(self, now: Iterable[LimitedWindow] | None = None) -> list[Overrun]:
        """The windows the lines bring above their limits.

        Args:
            now: the windows as they are, when the lines are in them already; None when nothing was booked.
        """
        found = []
        for window in [each for windows in self._windows.values() for each in windows] if now is None else now:
            added = self._added.get((window.account, window.period), 0)
            used = window.used_nanousd + (added if now is None else 0)
            if added > 0 and used > window.limit_nanousd:
                found.append(Overrun(window, used))
        return found
