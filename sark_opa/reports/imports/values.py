"""Values of rows as the ledger keeps them: money exact, times with their zone, texts without control characters.

Each function raises `FaultError` for what cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from sark_opa.errors import InvalidInputError, UsageError
from sark_opa.money import from_usd
from sark_opa.reports.imports.columns import TOKENS

ID_MAX: Final = 256
"""Characters of a name."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AMOUNT: Final = re.compile(r"\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,19}", re.ASCII)
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_COUNT_MAX: Final = 10**12
_AMOUNT_MAX: Final = Decimal(10**9)
_NANO_DIGITS: Final = 9
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_encode: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class FaultError(Exception):
    """A value that cannot be: which column of ours, and what is wrong with it."""

    def __init__(self, column: str, message: str) -> None:
        self.column = column
        self.message = message
        super().__init__(f"{column} {message}")


def escaped(text: str) -> str:
    """A text as COPY takes it; it has no control characters."""
    return text.replace("\\", "\\\\") if "\\" in text else text


def json_text(value: Any, column: str) -> str:
    """JSON as COPY takes it, with sorted names."""
    text = _encode(value).decode()
    if "\\u0000" in text.replace("\\\\", ""):
        raise FaultError(column, "has a NUL, which PostgreSQL keeps nowhere")
    return escaped(text)


def text_or_none(values: Mapping[str, Any], column: str, longest: int) -> str | None:
    """A name; None where there is none."""
    value = values.get(column)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise FaultError(column, f"is no text: {value!r}"[:200])
    if len(value) > longest:
        raise FaultError(column, f"is longer than {longest} characters")
    if _CONTROL.search(value):
        raise FaultError(column, "has control characters")
    return value


def nanousd_or_none(values: Mapping[str, Any], column: str) -> int | None:
    """USD as 10⁻⁹ USD, rounded up to a whole one; None where there is none. A binary float is refused."""
    value = values.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        whole, _, part = value.partition(".")
        # As most are written: moved by hand, since Decimal takes three times as long.
        if len(part) <= _NANO_DIGITS and 0 < len(whole) < _NANO_DIGITS and (whole + part).isdigit() and value.isascii():
            return int(whole + part.ljust(_NANO_DIGITS, "0"))
    if isinstance(value, float):
        raise FaultError(column, "is a binary float, which is not exact; give a decimal or a text")
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise FaultError(column, f"is no amount of money: {value!r}"[:200])
    if isinstance(value, str) and not _AMOUNT.fullmatch(value):
        raise FaultError(column, f"is no amount of USD, 0 or more: {value!r}"[:200])
    amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount <= _AMOUNT_MAX:
        raise FaultError(column, f"is not from 0 to {_AMOUNT_MAX} USD: {value}"[:200])
    return from_usd(amount)


def time_of(value: Any, now: datetime) -> datetime:
    """An instant, in UTC, of the past."""
    if value is None or value == "":
        raise FaultError("time", "is missing")
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise FaultError("time", f"is no time (RFC 3339): {value!r}"[:200]) from None
    elif isinstance(value, datetime):
        at = value
    else:
        raise FaultError("time", f"is no time (RFC 3339): {value!r}"[:200])
    if at.tzinfo is None:
        raise FaultError("time", f"says no time zone: {value}"[:200])
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise FaultError("time", f"is before 2000: {value}") from None
    if at > now:
        raise FaultError("time", f"lies in the future: {value}")
    if at < _EARLIEST:
        raise FaultError("time", f"is before 2000: {value}")
    return at


def flag_of(value: Any) -> bool:
    """True or false; false where there is none."""
    if value is None or value == "":
        return False
    flag = value if isinstance(value, bool) else _FLAGS.get(value.lower()) if isinstance(value, str) else None
    if flag is None:
        raise FaultError("estimated", f"is neither true nor false: {value!r}"[:200])
    return flag


def count_of(value: Any, column: str) -> int | None:
    """A whole number, 0 or more; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _COUNT_MAX:
        raise FaultError(column, f"is no count: {value!r}"[:200])
    return value


def _object(value: Any, column: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = _decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise FaultError(column, f"is no JSON: {value!r}"[:200]) from None
    if not isinstance(value, dict):
        raise FaultError(column, f"is no JSON object: {value!r}"[:200])
    return value


def usage_of(value: Any) -> tuple[str, dict[str, Any]]:
    """What a provider sent, as COPY takes it and as an object."""
    usage = _object(value, "usage")
    return json_text(usage, "usage"), usage


def tokens_of(values: Mapping[str, Any], usage: dict[str, Any], provider: str | None) -> str:
    """Counts by unit, as COPY takes them: those that are given, else those that the usage tells."""
    given = values.get("tokens")
    found: dict[str, int] = {}
    if given is not None and given != "":
        for name, count in _object(given, "tokens").items():
            text_or_none({"tokens": name}, "tokens", ID_MAX)
            found[name] = count_of(count, "tokens") or 0
    for name in TOKENS:
        count = count_of(values.get(name), name)
        if count is not None and found.setdefault(name, count) != count:
            raise FaultError(name, f"is {count}, and `tokens` says {found[name]}")
    if usage and not found:
        from sark_opa.cost.usage import read_usage  # noqa: PLC0415  # brings the price list, which few files need

        try:
            found = dict(read_usage(usage, provider).counts)
        except (UsageError, InvalidInputError) as error:
            raise FaultError("usage", f"cannot be read: {error}") from error
    return json_text(found, "tokens") if found else "{}"


def tags_of(value: Any) -> str:
    """Tags, as COPY takes them."""
    return _tags_of(value) if isinstance(value, str) else _checked_tags(value)


@lru_cache(maxsize=10_000)
def _tags_of(text: str) -> str:
    return _checked_tags(text)


def _checked_tags(given: Any) -> str:
    tags = _object(given, "tags")
    for name, value in tags.items():
        if not isinstance(value, str) or _CONTROL.search(value) or len(value) > ID_MAX:
            raise FaultError("tags", f"{name!r} is no text of at most {ID_MAX} characters"[:200])
        if not name or "=" in name or _CONTROL.search(name) or len(name) > ID_MAX:
            raise FaultError(
                "tags", f"{name!r} is no name of a tag: it is empty or too long, or has an equals sign"[:200]
            )
    return json_text(tags, "tags")
