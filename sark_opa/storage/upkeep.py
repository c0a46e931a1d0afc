"""What a database of charges needs now and then: summaries brought up to date, partitions, retention.

Any number of processes may do it at once; one at a time gets to work, the others find it being done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sark_opa.errors import MigrationError
from sark_opa.logs import get_logger
from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

_log: Final = get_logger("sark_opa.storage")
_queries: Final = queries.load("upkeep")
_FOLD_ROWS_MAX: Final = 20_000
_HOLD_ROWS_MAX: Final = 5_000
_WEEKS_AHEAD: Final = 5
_GROUPING_S: Final = 1.0
_RESTORED: Final = -1


@dataclass(frozen=True, slots=True)
class Storage:
    """How a database keeps charges.

    `unfolded_rows` are charges that are not in the summaries yet, `unfolded_age_s` the seconds since the first of them
    was recorded, by the database's clock: a transaction that is left open holds the summaries back.
    """

    tier: str
    keep_charges_days: int | None
    charges_kept_from: datetime | None
    folded_at: datetime
    unfolded_rows: int
    unfolded_age_s: float
    timescaledb: str | None


async def fold(pool: Pool, *, rows_max: int = _FOLD_ROWS_MAX) -> int:
    """Bring every charge committed by now into the summaries; how many rows were.

    None is, and 0 answered, while another process is at it.

    Raises:
        MigrationError: the database was restored on another server, and its summaries have to be rebuilt first.
        DatabaseUnavailableError: the database does not answer.
    """
    total = 0
    while True:
        found = await pool.call(_queries["fold"], {"rows_max": rows_max})
        rows = 0 if found is None else int(found)
        if rows == _RESTORED:
            raise _restored()
        total += rows
        if rows <= rows_max // 20:  # what is left is what came meanwhile, or the next turn's
            break
    if found is not None and (await pool.rows(_queries["has_ungrouped"]))[0][0]:
        await group_days(pool)
    return total


async def group_days(pool: Pool, *, within_s: float = _GROUPING_S) -> int:
    """Group older charges by several dimensions at once, a day of an org at a time; how many days were gone through.

    There are such charges after an upgrade only. No more days are begun after `within_s` seconds; none is while another
    process folds. Reports read the charges of days that are to come, and stay right.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    done, ends_at = 0, time.monotonic() + within_s
    while time.monotonic() < ends_at:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(_queries["allow_minutes"])
            row = await (await connection.execute(_queries["group_day"])).fetchone()
        if row is None or row[0] is None:
            return done
        done += 1
    return done


async def require_own_summaries(pool: Pool) -> None:
    """Return if new charges can be told from those in the summaries.

    Raises:
        MigrationError: the database was restored on another server: reports would miss what is charged from now on.
        DatabaseUnavailableError: the database does not answer.
    """
    if (await pool.rows(_queries["is_restored"]))[0][0]:
        raise _restored()


async def keep_partitions(pool: Pool, *, weeks_ahead: int = _WEEKS_AHEAD, now: datetime | None = None) -> int:
    """Make the partitions that are missing, on plain PostgreSQL; how many were.

    Raises:
        DeadlineExceededError: a long transaction keeps the table locked; nothing is refused meanwhile.
        DatabaseUnavailableError: the database does not answer.
    """
    made = int(await pool.call(_queries["keep_partitions"], {"weeks_ahead": weeks_ahead, "now": now}) or 0)
    if made:
        _log.info("partitions_made", count=made)
    return made


async def drop_old(pool: Pool, *, now: datetime | None = None) -> int:
    """Drop charges, and then ended holds, older than what is kept; how many holds were.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    await pool.call(_queries["drop_charges"], {"now": now})
    total, rows = 0, _HOLD_ROWS_MAX
    while rows == _HOLD_ROWS_MAX:
        rows = int(await pool.call(_queries["drop_holds"], {"rows_max": _HOLD_ROWS_MAX}) or 0)
        total += rows
    if total:
        _log.info("old_holds_deleted", count=total)
    return total


async def keep_charges(pool: Pool, days: int | None) -> None:
    """Keep charges for `days` days, at least 62; None: for ever.

    Raises:
        InvalidInputError: fewer than 62 days.
    """
    await pool.rows(_queries["keep_charges_days"], {"days": days})


async def rebuild_summaries(pool: Pool) -> int:
    """Work the summaries out anew from all charges, which cannot be booked meanwhile; how many rows there were.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    return int(await pool.call(_queries["rebuild_summaries"], {}) or 0)


async def storage(pool: Pool) -> Storage:
    """How the database keeps charges, and how far the summaries are behind.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    (row,) = await pool.rows(_queries["storage"])
    return Storage(*row)


def _restored() -> MigrationError:
    return MigrationError("this database was restored on another server; run `sark-opa database rebuild` once")
