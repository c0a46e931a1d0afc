"""What `sark-opa cost summary` and its neighbours print: tables for people, CSV and JSON for programs."""

from __future__ import annotations

import csv as csv_module
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import msgspec
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console
from sark_opa.sandbox.packages.fault import printable

FIGURES: Final = (
    "charges", "actual_usd", "estimated_usd", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens",
)  # fmt: skip
_PIPE_WIDTH: Final = 160
_CENT: Final = Decimal("0.01")
_FINE: Final = Decimal("0.000001")
_STEP_BAR: Final = 40
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

Row = Mapping[str, Any]


def write_json(answer: Any) -> None:
    """An answer as JSON, money as numbers."""
    sys.stdout.write(msgspec.json.format(_encode(answer), indent=2).decode() + "\n")


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows as CSV (RFC 4180), money with its exact digits, nothing for null."""
    writer = csv_module.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{each:f}" if isinstance(each, Decimal) else each for each in row] for row in rows)


def summary_csv(answer: Row) -> None:
    """The groups of a summary as CSV."""
    words = answer["group_by"]
    write_csv(
        [*words, *FIGURES, "share"],
        (
            [*(row["key"][word] for word in words), *(row[name] for name in FIGURES), row["share"]]
            for row in answer["rows"]
        ),
    )


def summary(answer: Row) -> None:
    """The groups of a summary as a table, with the sums over all of them."""
    words = answer["group_by"]
    table = _table(*words, right=("charges", "USD", "estimated", "share", "tokens in", "tokens out"))
    for row in answer["rows"]:
        share = "" if row["share"] is None else f"{100 * Decimal(row['share']):.1f} %"
        table.add_row(*(_name(row["key"][word]) for word in words), *_figures(row, share))
    if words:
        table.add_section()
    table.add_row(*["total", *[""] * (len(words) - 1)][: len(words)], *_figures(answer["totals"], ""), style="bold")
    _show(table)
    shown, groups = len(answer["rows"]), answer["groups"]
    more = f"{shown} of {groups} groups; --all prints all" if answer["next_after"] else ""
    _remarks(_period(answer), f"as of {answer['as_of']}", more)


def trend_csv(answer: Row) -> None:
    """The points of a trend as CSV."""
    columns = ("start", *FIGURES, "change_usd", "change_ratio", "complete")
    write_csv(columns, ([point[name] for name in columns] for point in answer["points"]))


def trend(answer: Row) -> None:
    """A trend as a table, with what it comes to."""
    table = _table(answer["by"], right=("charges", "USD", "change", ""))
    for point in answer["points"]:
        start = point["start"][:7] if answer["by"] == "month" else point["start"]
        change = "" if point["change_usd"] is None else f"{_usd(point['change_usd'], sign=True)}"
        unfinished = "" if point["complete"] else " *"
        table.add_row(
            start + unfinished,
            f"{point['charges']:,}",
            _usd(point["actual_usd"]),
            change,
            _percent(point["change_ratio"]),
        )
    _show(table)
    change = _percent(answer["change_ratio"])
    _say(
        ("total", "bold"),
        f" {_usd(answer['totals']['actual_usd'])} USD, {_usd(answer['change_usd'], sign=True)}"
        f"{f' ({change})' if change else ''} against {answer['previous_from']} to {answer['previous_to']}",
    )
    found = answer["forecast"]
    if found is not None:
        _say(
            ("forecast", "bold"),
            f" {_usd(found['forecast_usd'])} USD for {found['month']}: {_usd(found['month_to_date_usd'])} up to now, "
            f"and {_usd(found['rate_usd_per_day'])} a day, the mean of {found['rate_days']} days, for the rest",
        )
    _remarks(_period(answer), "* not over yet" if not all(point["complete"] for point in answer["points"]) else "")


def accuracy_csv(answer: Row) -> None:
    """The histogram of errors as CSV."""
    columns = ("from_ratio", "to_ratio", "charges")
    write_csv(columns, ([step[name] for name in columns] for step in answer["histogram"]))


def accuracy(answer: Row) -> None:
    """How far estimates were off: by model, and over all in steps."""
    table = _table("provider", "model", right=("charges", "p50", "p90", "p95", "within 10 %", "above"))
    for row in (*answer["models"], answer["totals"] | {"provider": "total", "model": ""}):
        ratios = [_percent(row[name]) for name in ("p50", "p90", "p95")]
        shares = [_percent(row[name], sign=False) for name in ("within_10_percent", "above_estimate")]
        bold = "bold" if row.get("model") == "" else ""
        table.add_row(_name(row["provider"]), _name(row["model"]), f"{row['charges']:,}", *ratios, *shares, style=bold)
    _show(table)
    most = max((step["charges"] for step in answer["histogram"]), default=0)
    steps = _table("actual against estimate", right=("charges",))
    steps.add_column()
    for step in answer["histogram"]:
        end = "or more" if step["to_ratio"] is None else f"to {_percent(step['to_ratio'])}"
        bar = "█" * max(1, round(_STEP_BAR * step["charges"] / most))
        steps.add_row(f"{_percent(step['from_ratio'])} {end}", f"{step['charges']:,}", bar)
    _show(steps)
    more = f"{answer['models_more']} more models" if answer["models_more"] else ""
    _remarks(_period(answer), f"quantiles are {answer['method']}", more)


def unsettled_csv(answer: Row) -> None:
    """Holds nobody settled as CSV."""
    columns = (
        "id", "request_id", "state", "account", "principal_id", "resource_id", "capability_id", "provider", "model",
        "held_at", "expires_at", "at_stake_usd", "booked_usd",
    )  # fmt: skip
    write_csv(columns, ([row[name] for name in columns] for row in answer["rows"]))


def unsettled(answer: Row) -> None:
    """Holds nobody settled, and what is at stake."""
    table = _table("held at", "state", "account", "request", "model", right=("USD", "booked"))
    for row in answer["rows"]:
        table.add_row(
            row["held_at"][:19].replace("T", " "), row["state"], _name(row["account"]), _name(row["request_id"]),
            _name(row["model"] or row["resource_id"]), _usd(row["at_stake_usd"]), _usd(row["booked_usd"]),
        )  # fmt: skip
    if answer["rows"]:
        _show(table)
    told = {
        "open": f"open for more than {answer['older_than_s']} s",
        "charged": "expired, and charged with what they held",
        "released": "expired, and nothing was booked",
    }
    for state, words in told.items():
        sums = answer["totals"][state]
        _say((f"{sums['holds']:,}", "bold"), f" {words}: {_usd(sums['at_stake_usd'])} USD")
    _remarks(_period(answer), "there are more: --all" if answer["next_after"] else "")


def unpriced_csv(answer: Row) -> None:
    """Models without a price as CSV."""
    columns = ("provider", "model", "status", "calls", "first_day", "last_at")
    write_csv(columns, ([row[name] for name in columns] for row in answer["rows"]))


def unpriced(answer: Row) -> None:
    """Models without a price, and how often they were asked for."""
    table = _table("provider", "model", "price", right=("calls", "first day", "last"))
    for row in answer["rows"]:
        price = "none" if row["status"] == "unpriced" else "a stand-in"
        last = row["last_at"][:16].replace("T", " ")
        table.add_row(_name(row["provider"]), _name(row["model"]), price, f"{row['calls']:,}", row["first_day"], last)
    if answer["rows"]:
        _show(table)
    _say((f"{answer['calls']:,}", "bold"), " questions about calls without a price of their own")
    _remarks(_period(answer))


def _table(*left: str, right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in left:
        table.add_column(column, overflow="fold")
    for column in right:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _show(table: Table) -> None:
    if console.is_terminal:
        console.print(table)
    else:
        console.print(table, width=_PIPE_WIDTH)


def _say(*parts: str | tuple[str, str]) -> None:
    console.print(Text.assemble(*parts), soft_wrap=True)


def _remarks(*remarks: str) -> None:
    _say(("; ".join(remark for remark in remarks if remark), "dim"))


def _period(answer: Row) -> str:
    period = answer["period"]
    return f"{period['from']} to {period['to']}, {period['timezone'] or 'each org in its own time zone'}"


def _figures(row: Row, share: str) -> list[str]:
    counts = [f"{row[name]:,}" for name in ("charges", "input_tokens", "output_tokens")]
    return [counts[0], _usd(row["actual_usd"]), _usd(row["estimated_usd"]), share, *counts[1:]]


def _usd(amount: Any, *, sign: bool = False) -> str:
    """Cents; below a dollar, millionths."""
    usd = Decimal(amount)
    step = _CENT if abs(usd) >= 1 or usd == 0 else _FINE
    return f"{usd.quantize(step, ROUND_HALF_UP):{'+' if sign else ''},f}"


def _percent(ratio: Any, *, sign: bool = True) -> str:
    return "" if ratio is None else f"{100 * Decimal(ratio):{'+' if sign else ''}.1f} %"


def _name(text: str | None) -> Text:
    """A name is whatever a caller chose; it must not be orders to a terminal."""
    return Text("(none)", "dim") if text is None else Text(printable(text))
