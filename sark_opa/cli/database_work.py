"""What `sark-opa migrate` and `sark-opa database …` do and print."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console
from sark_opa.storage import migration_status, sizes, upkeep
from sark_opa.storage.migrations import Tier
from sark_opa.storage.migrations import migrate as apply_migrations
from sark_opa.storage.pool import Pool, open_pool

_DAY_MS: Final = 86_400_000
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_STEP: Final = 1024
_STATES: Final = {"applied": "green", "pending": "yellow", "edited": "red", "unknown": "red"}
_LICENCES: Final = {"timescale": "community licence", "apache": "Apache licence"}


def _patient(database_url: str) -> AbstractAsyncContextManager[Pool]:
    """A pool for what reads or drops a lot."""
    return open_pool(database_url, size_max=1, statement_timeout_ms=_DAY_MS, lock_timeout_ms=60_000)


async def migrate(database_url: str, tier: Tier | None, *, json: bool) -> None:
    """Bring the schema up to date."""
    async with open_pool(database_url, size_max=1) as pool:
        applied = await apply_migrations(pool, tier=tier)
    if json:
        _write({"applied": applied})
        return
    for name in applied:
        _say(f"applied {name}")
    _say("the database is up to date")


async def script(database_url: str | None, tier: Tier | None) -> str:
    """What is missing, as a script."""
    if not database_url:
        return await migration_status.script(None, tier=tier)
    async with open_pool(database_url, size_max=1) as pool:
        return await migration_status.script(pool, tier=tier)


async def show_migrations(database_url: str, tier: Tier | None, *, json: bool) -> None:
    """List the migrations."""
    async with open_pool(database_url, size_max=1) as pool:
        about = await migration_status.status(pool, tier=tier)
    if json:
        _write(about)
        return
    _say(_server(about))
    table = _table("number", "name", "state", "applied at")
    for step in about.steps:
        at = f"{step.applied_at:%Y-%m-%d %H:%M:%S} UTC" if step.applied_at else ""
        table.add_row(str(step.number or ""), step.name, Text(step.state, _STATES[step.state]), at)
    console.print(table)


def _server(about: migration_status.Status) -> str:
    timescaledb = "no TimescaleDB"
    if about.timescaledb:
        licence = _LICENCES.get(about.licence or "", about.licence or "not loaded")
        timescaledb = f"TimescaleDB {about.timescaledb} ({licence})"
    tier = f"tier {about.tier}" if about.tier else "its tier is not decided: it could have TimescaleDB"
    return f"PostgreSQL {about.postgresql}, {timescaledb}, {tier}"


async def verify_schema(database_url: str, *, json: bool) -> int:
    """Compare the schema; 1 when it is not as it should be."""
    async with open_pool(database_url, size_max=1) as pool:
        found = await migration_status.findings(pool)
    if json:
        _write({"findings": found})
    else:
        for finding in found:
            console.print(Text.assemble((finding.subject, "red"), f" {finding.about}"), soft_wrap=True)
        _say(f"{len(found)} differences" if found else "the schema is as this version makes it")
    return 1 if found else 0


async def show_status(database_url: str, *, json: bool) -> None:
    """How charges are kept and how the summaries stand."""
    async with open_pool(database_url, size_max=1) as pool:
        about = await migration_status.status(pool)
        storage = await upkeep.storage(pool)
        weeks = await sizes.weeks(pool, storage.tier)
        tables = await sizes.tables(pool, storage.tier)
        oldest = await sizes.oldest_transaction(pool)
    pending = [step.name for step in about.steps if step.state != "applied"]
    compressed = sum(week.compressed for week in weeks)
    table_bytes, index_bytes = sum(table.table_bytes for table in tables), sum(table.index_bytes for table in tables)
    if json:
        _write(
            {
                "postgresql": about.postgresql,
                "licence": about.licence,
                "not_applied": pending,
                "storage": storage,
                "weeks": len(weeks),
                "weeks_compressed": compressed,
                "table_bytes": table_bytes,
                "index_bytes": index_bytes,
                "oldest_transaction": oldest,
            }
        )
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("server", _server(about))
    table.add_row("schema", f"not applied: {', '.join(pending)}" if pending else "up to date")
    table.add_row("summaries", _behind(storage))
    table.add_row("oldest writer", _waited_for(oldest))
    table.add_row("charges kept", _kept(storage))
    table.add_row("weeks", _weeks(weeks, storage.tier, compressed))
    table.add_row("size", f"{_bytes(table_bytes)} of rows, {_bytes(index_bytes)} of indexes")
    console.print(table)


def _behind(storage: upkeep.Storage) -> str:
    if not storage.unfolded_rows:
        return f"up to date at {storage.folded_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{storage.unfolded_rows:,} charges behind, the oldest for {storage.unfolded_age_s:,.0f} s"


def _waited_for(oldest: sizes.OpenTransaction | None) -> str:
    if oldest is None:
        return "none is open, or none this role may see"
    return f"{oldest.kind} of {oldest.who} ({oldest.state}), open for {oldest.age_s:,.0f} s"


def _kept(storage: upkeep.Storage) -> str:
    kept = "for ever" if storage.keep_charges_days is None else f"for {storage.keep_charges_days} days"
    return kept + (
        f"; there are some from {storage.charges_kept_from:%Y-%m-%d} on" if storage.charges_kept_from else ""
    )


def _weeks(weeks: list[sizes.Week], tier: str, compressed: int) -> str:
    dated = [week for week in weeks if week.starts_at and week.ends_at]
    if not dated:
        return "none"
    text = f"{len(dated)}, from {dated[0].starts_at:%Y-%m-%d} to {dated[-1].ends_at:%Y-%m-%d}"
    return f"{text}, {compressed} compressed" if tier == "tsl" else text


async def maintain(database_url: str, *, json: bool) -> None:
    """Fold, make partitions, drop what is old."""
    done: dict[str, int] = {}
    async with _patient(database_url) as pool:
        for name, what, job in (
            ("charges_folded", "charges brought into the summaries", upkeep.fold),
            ("partitions_made", "partitions made", upkeep.keep_partitions),
            ("holds_dropped", "old holds dropped, after their charges", upkeep.drop_old),
        ):
            started_at = time.perf_counter()
            done[name] = await job(pool)
            if not json:
                _say(f"{done[name]:,} {what} ({time.perf_counter() - started_at:.1f} s)")
        storage = await upkeep.storage(pool)
    if json:
        _write(done | {"charges_kept_from": storage.charges_kept_from})
    else:
        _say(f"charges are kept {_kept(storage)}")


async def retain(database_url: str, days: int | None, *, json: bool) -> None:
    """Set for how long charges are kept."""
    async with open_pool(database_url, size_max=1) as pool:
        await upkeep.keep_charges(pool, days)
        storage = await upkeep.storage(pool)
        weeks = await sizes.weeks(pool, storage.tier)
    now = datetime.now(UTC)
    old = [week for week in weeks if days is not None and week.ends_at and (now - week.ends_at).days >= days]
    if json:
        _write({"keep_charges_days": days, "weeks_to_drop": len(old), "bytes_to_drop": _total(old)})
        return
    _say(f"charges are kept {_kept(storage)}")
    if old:
        _say(f"the next upkeep drops {len(old)} weeks, {_bytes(_total(old))}; their summaries stay")


async def rebuild(database_url: str, *, json: bool) -> None:
    """Work the summaries out anew."""
    started_at = time.perf_counter()
    async with _patient(database_url) as pool:
        rows = await upkeep.rebuild_summaries(pool)
    if json:
        _write({"charges": rows})
    else:
        _say(f"{rows:,} charges summed up anew ({time.perf_counter() - started_at:.1f} s)")


async def show_sizes(database_url: str, *, json: bool) -> None:
    """Bytes of every table, and of each week of charges."""
    async with _patient(database_url) as pool:
        tier = (await upkeep.storage(pool)).tier
        tables, weeks = await sizes.tables(pool, tier), await sizes.weeks(pool, tier)
    if json:
        _write({"tables": tables, "weeks": weeks})
        return
    shown = _table("table", "rows, about", "table", "indexes", "bytes a row", right=4)
    for table in tables:
        total = table.table_bytes + table.index_bytes
        each = f"{total / table.rows:,.0f}" if table.rows else ""
        shown.add_row(table.name, f"{table.rows:,}", _bytes(table.table_bytes), _bytes(table.index_bytes), each)
    console.print(shown)
    console.print()
    shown = _table("week of charges", "table", "indexes", "", right=2)
    for week in weeks:
        name = f"{week.starts_at:%Y-%m-%d}" if week.starts_at else "in none of them"
        state = "compressed" if week.compressed else ""
        shown.add_row(name, _bytes(week.table_bytes), _bytes(week.index_bytes), state)
    console.print(shown)


def _table(*columns: str, right: int = 0) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if 0 < number <= right else "left", overflow="fold")
    return table


def _total(weeks: list[sizes.Week]) -> int:
    return sum(week.table_bytes + week.index_bytes for week in weeks)


def _bytes(count: int) -> str:
    value = float(count)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:,.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"  # noqa: PLR2004  # two digits


def _say(text: str) -> None:
    console.print(Text(text), highlight=False, soft_wrap=True)


def _write(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
