"""What `sark-opa cost rerate` shows and writes: lines, reasons, totals."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.errors import ConfigurationError
from sark_opa.evaluation.rerating import Booked, Line
from sark_opa.evaluation.rerating_totals import Overrun, Totals
from sark_opa.money import to_usd
from sark_opa.storage.rerating import KeptRerating

COLUMNS: Final = (
    "org", "request_id", "charged_at", "account", "resource_id", "provider", "model", "code", "before_usd", "after_usd",
    "difference_usd", "price_revision", "new_price_revision", "reason", "notes",
)  # fmt: skip
_REASONS_MAX: Final = 20
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
WORDS: Final = {
    "same": "the same by both books",
    "differs": "differ",
    "booked": "booked anew",
    "changed": "changed meanwhile and left; run it again",
    "expiry": "left: charged when their hold expired, no usage is known",
    "amount_given": "left: settled with an amount, no usage is known",
    "hold_not_kept": "left: their holds are not kept any more",
    "unpriced": "left: the new book has no price for them",
    "usage_invalid": "left: their usage cannot be read",
    "estimate_failed": "left: an estimator of your own priced them",
}


class Report:
    """Collects the lines of a run and shows them.

    Attributes:
        totals: what they come to.
        overruns: windows above their limit.
        booked: what each org's run has booked.
    """

    def __init__(self, revision: str, *, lines_max: int, unbooked: str = "Nothing was booked; --apply does.") -> None:
        self.totals = Totals()
        self.overruns: list[Overrun] = []
        self.booked: dict[str, Booked] = {}
        self._revision = revision
        self._lines_max = lines_max
        self._unbooked = unbooked
        self._shown: list[Line] = []
        self._write: Callable[[dict[str, Any]], None] = lambda _: None

    def add(self, line: Line) -> None:
        """Count a line, and write it."""
        self.totals.add(line)
        if line.code in {"differs", "booked", "changed"} and len(self._shown) < self._lines_max:
            self._shown.append(line)
        self._write(_row(line, self._revision))

    @contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """Write every line into a file, which is there under its name once it is whole.

        Raises:
            ConfigurationError: neither .csv nor .json, or the file cannot be written.
        """
        ways = {".csv": _csv, ".json": _json}
        if path.suffix not in ways:
            raise ConfigurationError(f"--output {path}: call it .csv or .json")
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("w", encoding="utf-8", newline="") as file:
                with ways[path.suffix](file) as self._write:
                    yield
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise ConfigurationError(f"--output {path}: {error}") from error

    @contextmanager
    def progress(self, org: str, from_at: datetime, until_at: datetime) -> Iterator[Callable[[datetime], None]]:
        """A bar, on standard error, for lines that come in order of time."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        span = (until_at - from_at).total_seconds()
        with Progress(*columns, TimeElapsedColumn(), console=errors, transient=True) as bar:
            task = bar.add_task(escape(org), total=span)
            yield lambda at: bar.update(task, completed=(at - from_at).total_seconds())

    def print(self) -> None:
        """Show lines, reasons, totals, and what is above its limit."""
        if self._shown:
            _print_lines(self._shown)
        if self.totals.models:
            self._print_reasons()
            self._print_models()
        for code, total in self.totals.codes.items():
            amount = f"{to_usd(total.before_nanousd):f} USD"
            console.print(f"{total.charges:>10,} charges, {amount}: {WORDS.get(code, code)}", highlight=False)
        if not self.totals.codes:
            console.print("no charge is selected")
        for overrun in self.overruns:
            w = overrun.window
            used, limit = (f"{to_usd(nanousd):f}" for nanousd in (overrun.used_nanousd, w.limit_nanousd))
            told = f"{w.account}: the {w.period} stands at {used} of {limit} USD"
            console.print(Text.assemble(("above its limit ", "yellow"), told), soft_wrap=True)
        self._print_booked()

    def _print_booked(self) -> None:
        difference = to_usd(self.totals.differing.difference_nanousd)
        if not self.booked and self.totals.models:
            console.print(
                f"[bold]{difference:+f} USD[/bold] by {escape(self._revision)}. {self._unbooked}",
                highlight=False,
            )
        for org, booked in self.booked.items():
            if booked.rerating_id is None:
                console.print(f"{escape(org)}: nothing differs, nothing was booked", highlight=False)
                continue
            resumed = " (begun before, finished now)" if booked.resumed else ""
            console.print(
                f"[green]{escape(org)}: {booked.rerating_id} has booked {booked.charges:,} charges anew, "
                f"{to_usd(booked.difference_nanousd):+f} USD[/green]{resumed}",
                highlight=False,
            )

    def _print_reasons(self) -> None:
        table = _table("provider", "model", "why", "charges", "difference")
        found = sorted(self.totals.reasons.items(), key=lambda item: -abs(item[1].difference_nanousd))
        for key, total in found[:_REASONS_MAX]:
            why = _why(key.changes, key.notes)
            difference = f"{to_usd(total.difference_nanousd):+f}"
            table.add_row(*_texts(key.provider, key.model, why, f"{total.charges:,}", difference))
        console.print(table)
        if len(found) > _REASONS_MAX:
            console.print(f"… and {len(found) - _REASONS_MAX} more reasons; --output has every line")

    def _print_models(self) -> None:
        table = _table("org", "provider", "model", "charges", "before", "after", "difference")
        for key, total in sorted(self.totals.models.items(), key=lambda item: tuple(map(str, item[0]))):
            table.add_row(*_texts(*key, f"{total.charges:,}", *_amounts(total)))
        table.add_section()
        table.add_row(*_texts("", "", "total", f"{self.totals.differing.charges:,}", *_amounts(self.totals.differing)))
        console.print(table)


def print_reratings(found: Sequence[KeptRerating]) -> None:
    """List re-ratings that were booked."""
    columns = (
        "id",
        "org",
        "from",
        "to",
        "only",
        "prices",
        "charges",
        "difference",
        "by",
        "reason",
        "started",
        "finished",
    )
    table = _table(*columns)
    for each in found:
        only = " ".join(f"{key}={value}" for key in ("provider", "model", "account") if (value := each.selection[key]))
        table.add_row(
            *_texts(
                each.rerating_id, each.org, each.selection["from"][:16], (each.selection["until"] or "")[:16], only,
                each.price_revision, f"{each.charges:,}", f"{to_usd(each.difference_nanousd):+f}", each.author,
                each.reason, f"{each.started_at:%Y-%m-%d %H:%M}",
                f"{each.finished_at:%Y-%m-%d %H:%M}" if each.finished_at else "no",
            )
        )  # fmt: skip
    console.print(table)


def _print_lines(lines: Sequence[Line]) -> None:
    table = _table("charged at", "request", "model", "before", "after", "why")
    for line in lines:
        amounts = (f"{to_usd(line.before_nanousd):f}", f"{to_usd(line.after_nanousd or 0):f}")
        why = _why(line.changes, line.notes)
        table.add_row(*_texts(f"{line.charged_at:%Y-%m-%d %H:%M:%S}", line.request_id, line.model, *amounts, why))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        number = column in {"charges", "before", "after", "difference"}
        table.add_column(column, overflow="fold", justify="right" if number else "left")
    return table


def _texts(*cells: str | None) -> list[Text]:
    return [Text(cell or "") for cell in cells]


def _amounts(total: Any) -> tuple[str, str, str]:
    return (
        f"{to_usd(total.before_nanousd):f}",
        f"{to_usd(total.after_nanousd):f}",
        f"{to_usd(total.difference_nanousd):+f}",
    )


def _why(changes: Sequence[object], notes: Sequence[str]) -> str:
    return "; ".join([*map(str, changes), *notes])


def _row(line: Line, revision: str) -> dict[str, Any]:
    after = None if line.after_nanousd is None else to_usd(line.after_nanousd)
    values = (
        line.org, line.request_id, line.charged_at.isoformat(), line.path[0], line.resource_id, line.provider,
        line.model, line.code, to_usd(line.before_nanousd), after, to_usd(line.difference_nanousd),
        line.price_revision, revision, "; ".join(map(str, line.changes)), "; ".join(line.notes),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


@contextmanager
def _csv(file: TextIO) -> Iterator[Callable[[dict[str, Any]], None]]:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield lambda row: writer.writerow([_cell(value) for value in row.values()])


@contextmanager
def _json(file: TextIO) -> Iterator[Callable[[dict[str, Any]], None]]:
    count = 0

    def write(row: dict[str, Any]) -> None:
        nonlocal count
        file.write(("[\n" if count == 0 else ",\n") + _encode(row).decode())
        count += 1

    yield write
    file.write("\n]\n" if count else "[]\n")


def _cell(value: object) -> str:
    """A cell; words that a spreadsheet would run as a formula get a quote before them."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return f"{value:f}"
