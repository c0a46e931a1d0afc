"""What psycopg raises, in the words of sark-opa: by class and constraint, never by text."""

from __future__ import annotations

import psycopg
import psycopg_pool
import pytest
from psycopg import errors

from sark_opa.errors import (
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    MigrationError,
    OverloadedError,
    SarkError,
)
from sark_opa.storage.faults import translated


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (errors.QueryCanceled(), DeadlineExceededError),
        (errors.LockNotAvailable(), DeadlineExceededError),
        (errors.StatementTooComplex(), InvalidInputError),
        (errors.ProgramLimitExceeded(), InvalidInputError),
        (errors.NumericValueOutOfRange(), InvalidInputError),
        (errors.UntranslatableCharacter(), InvalidInputError),
        (errors.CheckViolation(), InvalidInputError),
        (errors.ForeignKeyViolation(), InvalidInputError),
        (psycopg_pool.TooManyRequests(), OverloadedError),
        (psycopg_pool.PoolTimeout(), DatabaseUnavailableError),
        (psycopg_pool.PoolClosed(), DatabaseUnavailableError),
        (psycopg.OperationalError(), DatabaseUnavailableError),
        (psycopg.InterfaceError(), DatabaseUnavailableError),
        (errors.AdminShutdown(), DatabaseUnavailableError),
        (errors.CrashShutdown(), DatabaseUnavailableError),
        (errors.CannotConnectNow(), DatabaseUnavailableError),
        (errors.ReadOnlySqlTransaction(), DatabaseUnavailableError),
        (errors.DiskFull(), DatabaseUnavailableError),
        (errors.DeadlockDetected(), DatabaseUnavailableError),
        (errors.UndefinedFunction(), MigrationError),
        (errors.UndefinedTable(), MigrationError),
        (errors.InvalidSchemaName(), MigrationError),
        (errors.InternalError_(), SarkError),
    ],
)
def test_each_fault_has_its_word(raised, told):
    """The class of the error decides; the original is its cause."""
    with pytest.raises(SarkError) as caught, translated():
        raise raised
    assert type(caught.value) is told
    assert caught.value.__cause__ is raised


def test_other_errors_pass():
    """What the database did not raise is none of its faults, and no error is no error."""
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError
    with pytest.raises(InvalidInputError), translated():
        raise InvalidInputError
    with translated():
        pass
