"""The one seam where what the database reports becomes a sark-opa error. Never by message text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from sark_opa.errors import (
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    MigrationError,
    OrgMovedError,
    OrgMovingError,
    OverloadedError,
    SarkError,
)

_CONSTRAINTS: Final[Mapping[str, SarkError]] = {
    "accounts_depth_max": InvalidInputError("parent: an account may have at most 15 ancestors", path="parent"),
    "accounts_parent_of_all_but_org": InvalidInputError("parent: an org has none, others have one", path="parent"),
    "access_tokens_sha256_key": InvalidInputError("this token is registered under another name already"),
}
_NO_WRITES: Final[Mapping[type[psycopg.Error], str]] = {
    errors.ReadOnlySqlTransaction: (
        "the database is read-only (a standby, or default_transaction_read_only is on); nothing was granted"
    ),
    errors.DiskFull: "the disk of the database is full; nothing was granted",
    errors.AdminShutdown: "the database is being stopped; nothing was granted",
    errors.CrashShutdown: "the database is restarting after a crash; nothing was granted",
    errors.CannotConnectNow: "the database is starting, stopping or recovering; nothing was granted",
}
_MOVES: Final[Mapping[str | None, type[OrgMovingError]]] = {"SKM01": OrgMovingError, "SKM02": OrgMovedError}
"""What `sark.refuse_moved_org` raises."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise sark-opa errors for whatever psycopg raises inside.

    Raises:
        DeadlineExceededError: a statement or a lock took longer than the database was told to allow.
        OverloadedError: every connection is taken and too many wait.
        DatabaseUnavailableError: no connection, or it broke; what was sent may or may not have been written. Or the
            server takes no writes now: it is read-only, its disk is full, it is starting, stopping or recovering.
        InvalidInputError: a value the database cannot take.
        MigrationError: the schema is missing or older than this build, or the role lacks a right.
        OrgMovingError, OrgMovedError: the org is not to be written in this database; `details["org"]` is its name.
        SarkError: anything else.
    """
    try:
        yield
    except (errors.QueryCanceled, errors.LockNotAvailable) as error:
        raise DeadlineExceededError("the database took too long; nothing was granted") from error
    except (errors.StatementTooComplex, errors.ProgramLimitExceeded) as error:
        raise InvalidInputError("the database cannot take this: it is nested too deeply or too large") from error
    except TooManyRequests as error:
        raise OverloadedError from error
    except tuple(_NO_WRITES) as error:
        raise DatabaseUnavailableError(_NO_WRITES[type(error)]) from error
    except (PoolTimeout, PoolClosed, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailableError from error
    except psycopg.IntegrityError as error:
        raise _of_constraint(error) from error
    except psycopg.DataError as error:
        raise InvalidInputError(f"the database cannot take this: {error.diag.message_primary}") from error
    except psycopg.ProgrammingError as error:
        raise _of_schema(error) from error
    except psycopg.Error as error:
        raise _of_state(error) from error


def _of_state(error: psycopg.Error) -> SarkError:
    if (moved := _MOVES.get(error.sqlstate)) is not None:
        return moved(org=error.diag.message_detail)
    return SarkError(f"the database failed in a way nobody foresaw: {error}")


def _of_constraint(error: psycopg.IntegrityError) -> SarkError:
    name = error.diag.constraint_name or ""
    known = _CONSTRAINTS.get(name)
    if known is not None:
        return type(known)(known.message, **known.details)
    return InvalidInputError(f"the database refuses this: {name}", constraint=name)


def _of_schema(error: psycopg.ProgrammingError) -> MigrationError:
    if isinstance(error, errors.InsufficientPrivilege):
        return MigrationError(
            f"this role may not do that ({error.diag.message_primary}); `sark-opa database grants` prints what a "
            "service and a reader need, other things are its owner's"
        )
    return MigrationError(f"the schema is not what this build expects ({error.sqlstate}); run `sark-opa migrate`")
