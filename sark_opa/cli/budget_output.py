"""What `sark-opa budget …` prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.sandbox.packages.fault import printable

_SIGNS: Final = {"create": ("+", "green"), "change": ("~", "yellow"), "reset": ("-", "red")}
_DONE: Final = {"create": "created", "change": "changed", "reset": "reset"}
_BAR_CELLS: Final = 16
_WIDTH_FOR_BARS: Final = 110
_PIPE_WIDTH: Final = 160
_WARN_PERCENT, _FULL_PERCENT = 80, 100
_UNMANAGED_MAX: Final = 20
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Standings:
    """Where accounts stand at an instant; `more`: there are others that are not shown."""

    at: str
    budgets: Sequence[Mapping[str, Any]]
    more: bool


def write_json(value: Any, *, indent: int = 2) -> None:
    """A value as JSON, money as numbers."""
    sys.stdout.write(msgspec.json.format(_encode(value), indent=indent).decode() + "\n")
    sys.stdout.flush()


def plan(made: Mapping[str, Any], *, json: bool, brief: bool = False, to_stderr: bool = False) -> None:
    """A plan, or what was applied; `brief` when its changes were shown before."""
    if json:
        write_json(made)
        return
    to = errors if to_stderr else console
    if not brief:
        for change in made["changes"]:
            _change(to, change)
        for warning in made["warnings"]:
            _say(to, ("warning", "yellow"), f" {warning['message']}")
        _unmanaged(to, made["unmanaged"])
    counts = dict.fromkeys(_SIGNS, 0)
    for change in made["changes"]:
        counts[change["action"]] += 1
    done = [
        f"{count} {_DONE[action] if made['applied'] else f'to {action}'}" for action, count in counts.items() if count
    ]
    word = "applied" if made["applied"] else "plan"
    _say(to, (word, "bold"), f": {', '.join([*done, str(made['unchanged'])])} as they are to be")


def _change(to: Console, change: Mapping[str, Any]) -> None:
    sign, style = _SIGNS[change["action"]]
    limits = " (its limits are reset: no file states it)" if change["action"] == "reset" else ""
    _say(to, (f"{sign} {change['account']}", style), limits)
    for field in change["fields"]:
        after = _shown(_of(change["after"], field))
        if change["before"] is None:
            _say(to, f"    {field}: {after}")
        else:
            _say(to, f"    {field}: {_shown(_of(change['before'], field))} -> {after}")


def _of(settings: Mapping[str, Any], field: str) -> Any:
    value: Any = settings
    for part in field.split("."):
        value = value[part]
    return value


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _unmanaged(to: Console, accounts: Sequence[Mapping[str, Any]]) -> None:
    if not accounts:
        return
    _say(to, f"{len(accounts)} with limits that no file states, left as they are:")
    for account in accounts[:_UNMANAGED_MAX]:
        limits = [
            f"{_shown(account[f'{word}_limit_usd'])} USD a {window}"
            for word, window in (("daily", "day"), ("monthly", "month"))
            if account[f"{word}_limit_usd"] is not None
        ]
        limits += [
            f"{account['quotas'][unit][word]} {unit} a {window}"
            for unit in ("tokens", "calls")
            for word, window in (("daily", "day"), ("monthly", "month"))
            if account.get("quotas", {}).get(unit, {}).get(word) is not None
        ]
        _say(to, f"    {account['name']}: {', '.join(limits) or 'no limit, where its org has one by default'}")
    if len(accounts) > _UNMANAGED_MAX:
        _say(to, f"    … and {len(accounts) - _UNMANAGED_MAX} more; --json lists all")


def standings(found: Standings, *, json: bool) -> None:
    """Where accounts stand."""
    if json:
        write_json({"at": found.at, "budgets": found.budgets})
        return
    show(table_of(found))
    if found.more:
        _say(console, ("there are more", "dim"), ": name an account, or give --limit")


def table_of(found: Standings) -> Table:
    """A table with a line for each window that has a limit; one of the day for an account without any; then quotas."""
    table = Table(box=None, pad_edge=False)
    table.add_column("account", overflow="fold", min_width=20)
    for column in ("window", "limit", "spent", "held", "left", "used"):
        table.add_column(column, justify="left" if column == "window" else "right", no_wrap=True)
    bars = console.is_terminal and console.width >= _WIDTH_FOR_BARS
    if bars:
        table.add_column("", width=_BAR_CELLS)
    table.add_column("resets in", justify="right", no_wrap=True)
    at = datetime.fromisoformat(found.at)
    for depth, row in _in_order(found.budgets):
        windows = [window for window in row["windows"] if window["limit_usd"] is not None] or row["windows"][:1]
        for place, window in enumerate(windows):
            # Below its org, the org's name says nothing new.
            name = "  " * depth + (row["account"].partition("/")[2] if depth else row["account"])
            table.add_row(*_line(printable(name) if place == 0 else "", _Cells.of_budget(window), at, bars=bars))
        for quota in row.get("quotas", ()):
            table.add_row(*_line("", _Cells.of_quota(quota), at, bars=bars))
    return table


@dataclass(frozen=True, slots=True)
class _Cells:
    """What a line shows of a window, be it of a budget or of a quota; `left` empty and `percent` None: no limit."""

    window: str
    limit: str
    spent: str
    held: str
    left: str
    percent: Any
    resets_at: str

    @classmethod
    def of_budget(cls, window: Mapping[str, Any]) -> _Cells:
        limited = window["percent_used"] is not None
        return cls(
            window["window"],
            _usd(window["limit_usd"]) if limited else "none",
            _usd(window["spent_usd"]),
            _usd(window["held_usd"]),
            _usd(window["remaining_usd"]) if limited else "",
            window["percent_used"],
            window["resets_at"],
        )

    @classmethod
    def of_quota(cls, quota: Mapping[str, Any]) -> _Cells:
        used, held, left = (f"{quota[name]:,}" for name in ("used", "held", "remaining"))
        limit = f"{quota['limit']:,} {quota['unit']}"
        return cls(quota["window"], limit, used, held, left, quota["percent_used"], quota["resets_at"])


def _line(name: str, window: _Cells, at: datetime, *, bars: bool) -> Iterator[RenderableType]:
    percent = window.percent
    style = "" if percent is None or percent < _WARN_PERCENT else "yellow" if percent < _FULL_PERCENT else "red"
    limited = percent is not None
    yield Text(name, style)
    yield window.window
    yield window.limit
    yield window.spent
    yield window.held
    yield Text(window.left, style)
    yield Text(f"{percent:.1f} %" if limited else "", style)
    if bars:
        part = min(float(percent), 100.0) if limited else 0.0
        bar = ProgressBar(total=100, completed=part, width=_BAR_CELLS, complete_style=style or "green")
        yield bar if limited else ""
    yield span(datetime.fromisoformat(window.resets_at) - at)


def show(what: RenderableType) -> None:
    """To a terminal as wide as that is; to a pipe wide enough, since a program reads it there, or a file is made."""
    to = console if console.is_terminal else Console(width=_PIPE_WIDTH)
    to.print(what)


def _in_order(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each account below its parent, as far as that is there, with its depth."""
    known = {row["account"] for row in rows}
    below: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in rows:
        below.setdefault(row["parent"] if row["parent"] in known else None, []).append(row)
    waiting = [(0, row) for row in reversed(below.get(None, []))]
    while waiting:
        depth, row = waiting.pop()
        yield depth, row
        waiting += [(depth + 1, child) for child in reversed(below.get(row["account"], []))]


def span(left: timedelta) -> str:
    """A time that is left, in its two largest units."""
    seconds = max(0, int(left.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds % 60}s"


def _usd(amount: Any) -> str:
    return f"{amount:,.2f}" if amount == round(amount, 2) else f"{amount:,.6f}"


def raised(made: Mapping[str, Any], *, json: bool) -> None:
    """One raise, as it is now."""
    if json:
        write_json(made)
        return
    if made["cancelled_at"] is None:
        _say(console, f"raised {made['account']} by {_extra(made)} until {made['expires_at']}, id {made['id']}")
    else:
        _say(console, f"cancelled {made['id']} of {made['account']}; its limits are what they were")


def raises(found: Mapping[str, Any], *, json: bool) -> None:
    """Raises."""
    if json:
        write_json(found)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("account", "by", "from (UTC)", "until (UTC)", "author", "reason", "id"):
        table.add_column(column, overflow="fold")
    for made in found["raises"]:
        until = made["expires_at"][:16] if made["cancelled_at"] is None else f"cancelled {made['cancelled_at'][:16]}"
        since = made["starts_at"][:16]
        cells = (made["account"], _extra(made), since, until, made["author"], made["reason"], made["id"])
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    show(table)


def _extra(made: Mapping[str, Any]) -> str:
    extras = (("daily", "day"), ("monthly", "month"))
    return ", ".join(
        f"{made[f'{word}_extra_usd']} USD a {window}" for word, window in extras if made[f"{word}_extra_usd"]
    )


def _say(to: Console, *parts: str | tuple[str, str]) -> None:
    clean = [printable(part) if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts]
    to.print(Text.assemble(*clean), soft_wrap=True)
