"""Money: exact, rounded once, upwards."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.errors import InvalidInputError
from sark_opa.money import NANOUSD_MAX, ceil_nanousd, from_usd, to_usd


@given(st.integers(-NANOUSD_MAX, NANOUSD_MAX))
def test_nano_dollars_survive_the_way_out_and_back(nanousd: int) -> None:
    """Every amount the ledger can hold is written and read without a digit lost."""
    assert from_usd(to_usd(nanousd)) == nanousd
    assert from_usd(str(to_usd(nanousd))) == nanousd


@given(st.integers(0, 10**30))
def test_rounding_goes_up_by_less_than_one(femtousd: int) -> None:
    """A sum is never understated, and overstated by less than a nano-dollar."""
    assert 0 <= ceil_nanousd(femtousd) * 10**6 - femtousd < 10**6


@pytest.mark.parametrize(
    ("usd", "nanousd"), [("0.0000000001", 1), ("0.000225", 225_000), ("12", 12 * 10**9), ("-0.5", -5 * 10**8), ("0", 0)]
)
def test_usd_become_nano_dollars(usd: str, nanousd: int) -> None:
    """Amounts below a nano-dollar become one, so that a cost above zero is never nothing."""
    assert from_usd(Decimal(usd)) == nanousd


@pytest.mark.parametrize("usd", ["NaN", "Infinity", "-Infinity", "1e400", "99999999999", "one", "1e11"])
def test_what_is_no_amount_is_refused(usd: str) -> None:
    """Not finite, beyond the ledger's integers, or no number at all."""
    with pytest.raises(InvalidInputError):
        from_usd(usd)


def test_decimals_are_written_without_trailing_zeros() -> None:
    """A million nano-dollars is 0.001, a whole dollar is 1."""
    assert [str(to_usd(n)) for n in (10**6, 10**9, -15 * 10**8, 0)] == ["0.001", "1", "-1.5", "0"]
