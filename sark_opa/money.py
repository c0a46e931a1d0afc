"""Money: integers of 10⁻⁹ USD inside, decimal numbers at the edges, one rounding rule.

Prices are finer than a nano-dollar (0.0375 USD per million tokens is 37.5 nano-dollars a
token), so unit prices are integers of 10⁻¹⁵ USD and a sum of products is rounded once, upwards,
to nano-dollars. Rounding up is monotonic, so an upper bound stays one, and no cost above zero
becomes zero.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation, localcontext
from typing import Final

from sark_opa.errors import InvalidInputError

NANOUSD_PER_USD: Final = 10**9
FEMTOUSD_PER_NANOUSD: Final = 10**6
_USD_PER_NANOUSD: Final = Decimal("1e-9")
_EXACT: Final = Context(prec=60)
NANOUSD_MAX: Final = 2**62
"""About 4.6e9 USD: sums of two amounts still fit PostgreSQL's bigint."""


def to_usd(nanousd: int) -> Decimal:
    """`nanousd` (10⁻⁹ USD) as an exact decimal number of USD, without trailing zeros or exponent."""
    # An answer to /facts holds some thirty amounts, so the digits are the C implementation's to move.
    if nanousd % NANOUSD_PER_USD == 0:
        return Decimal(nanousd // NANOUSD_PER_USD)
    return _EXACT.multiply(Decimal(nanousd), _USD_PER_NANOUSD).normalize(_EXACT)


def from_usd(usd: Decimal | int | str) -> int:
    """USD as integer nano-dollars, rounded up to the next one.

    Args:
        usd: a finite amount; binary floats are refused by type.

    Raises:
        InvalidInputError: not a finite number, or beyond ±`NANOUSD_MAX`.
    """
    try:
        amount = Decimal(usd)
    except InvalidOperation as error:
        raise InvalidInputError(f"{usd!r} is not an amount of money") from error
    if not amount.is_finite() or amount.adjusted() > 10:  # noqa: PLR2004  # beyond 10^11 USD, before scaling it
        raise InvalidInputError(f"{usd} is not a finite amount of money within ±{to_usd(NANOUSD_MAX)} USD")
    with localcontext() as context:
        context.prec = 60
        nanousd = int((amount * NANOUSD_PER_USD).to_integral_value(rounding=ROUND_CEILING))
    if abs(nanousd) > NANOUSD_MAX:
        raise InvalidInputError(f"{usd} is not a finite amount of money within ±{to_usd(NANOUSD_MAX)} USD")
    return nanousd


def ceil_nanousd(femtousd: int) -> int:
    """Sum of unit prices times quantities (10⁻¹⁵ USD) as nano-dollars (10⁻⁹ USD), rounded up."""
    return -(-femtousd // FEMTOUSD_PER_NANOUSD)
