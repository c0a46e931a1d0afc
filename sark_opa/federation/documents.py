"""What members say to each other. Every document is signed, says by whom and for whom it is, and when it was made.

Amounts are USD as decimal text, never finer than 10⁻⁹; in canonical JSON (RFC 8785: keys sorted, no blanks) numbers are
whole and small, so that every language writes the same bytes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec

from sark_opa.errors import FederationError
from sark_opa.money import NANOUSD_MAX, from_usd, to_usd

Direction = Literal["consumed", "provided"]
"""consumed: our principals called the peer · provided: the peer's principals called us."""
State = Literal["proposed", "accepted", "refused", "cancelling", "cancelled", "lapsed", "settled", "unknown"]

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Amount = Annotated[str, msgspec.Meta(max_length=40, pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Who says it, to whom, and when by the issuer's clock."""

    issuer: _Name
    audience: _Name
    issued_at: datetime


class Accept(Document, frozen=True, kw_only=True, tag="accept"):
    """Home to host: set your acceptance limit aside for this call. Lives `ttl_s` seconds, each side by its clock."""

    transfer_id: _Id
    alias: _Id
    resource_id: _Text
    capability_id: _Text
    amount_usd: Amount
    ttl_s: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)]


class Cancel(Document, frozen=True, kw_only=True, tag="cancel"):
    """Home to host: let go of this call, and take no acceptance of it any more, also one that is still on its way."""

    transfer_id: _Id


class Ask(Document, frozen=True, kw_only=True, tag="ask"):
    """Home to host: how does this call stand?"""

    transfer_id: _Id


class Pull(Document, frozen=True, kw_only=True, tag="pull"):
    """Which of your statements for me follow this one? Goes into a header, since the request has no body."""

    after: _Count


class Word(Document, frozen=True, kw_only=True, tag="word"):
    """How a call stands at who says it: the answer to everything above, and what a host tells its home when it ends.

    `period` is the UTC day of the host's clock on which it accepted: both book the call under it. `in_reply_to` is the
    digest of what is answered.
    """

    transfer_id: _Id
    state: State
    in_reply_to: str | None = None
    code: str | None = None
    message: str | None = None
    period: date | None = None
    actual_usd: Amount | None = None
    tokens: dict[str, _Count] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one principal alias spent on a day, one way. `direction` is as the issuer sees it."""

    direction: Direction
    alias: _Id
    charges: Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)]
    amount_usd: Amount
    input_tokens: str = "0"
    output_tokens: str = "0"
    cache_read_tokens: str = "0"
    cache_write_tokens: str = "0"


class Statement(Document, frozen=True, kw_only=True, tag="statement"):
    """What a day's calls between issuer and audience cost by the issuer's ledger; replaces earlier revisions of it."""

    sequence: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    previous: str | None
    period_start: datetime
    period_end: datetime
    revision: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    currency: Literal["USD"] = "USD"
    entries: tuple[Entry, ...] = ()

    @property
    def period(self) -> date:
        """The UTC day it is about."""
        return self.period_start.astimezone(UTC).date()


AnyDocument = Accept | Cancel | Ask | Pull | Word | Statement
_decoder: Final[msgspec.json.Decoder[AnyDocument]] = msgspec.json.Decoder(AnyDocument)


def encode(document: Document) -> bytes:
    """The canonical bytes of a document, which are what is signed."""
    return _encode(document)


def decode(payload: bytes) -> AnyDocument:
    """The document of signed bytes.

    Raises:
        FederationError: they are none, say something twice or something unknown, or a time without its zone.
    """
    try:
        document = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FederationError(f"this is no document of the federation: {error}") from error
    times = [document.issued_at]
    if isinstance(document, Statement):
        times += [document.period_start, document.period_end]
    if any(time.tzinfo is None for time in times):
        raise FederationError("a time without its zone")
    return document


def amount_of(text: str) -> int:
    """An amount as integer nano-dollars.

    Raises:
        FederationError: finer than 10⁻⁹ USD, or beyond what a ledger keeps.
    """
    usd = Decimal(text)
    nanousd = from_usd(usd) if abs(usd) < 10**10 else NANOUSD_MAX + 1
    if abs(nanousd) > NANOUSD_MAX or to_usd(nanousd) != usd:
        raise FederationError(f"{text} is not an amount in whole billionths of a US dollar")
    return nanousd


def text_of(nanousd: int) -> str:
    """Nano-dollars as an amount: plain decimal text."""
    return format(to_usd(nanousd), "f")


def checked_period(statement: Statement, *, now: datetime, tolerance_s: float) -> None:
    """Let a statement pass whose period is a day that has begun.

    Raises:
        FederationError: the period has no length, is not a UTC day, or lies ahead; or an alias is there twice.
    """
    start, end = statement.period_start, statement.period_end
    if end <= start:
        raise FederationError(f"the period from {start} to {end} has no length")
    if end - start != timedelta(days=1) or start.astimezone(UTC).time() != datetime.min.time():
        raise FederationError(f"the period from {start} to {end} is not a day of UTC")
    if start > min(statement.issued_at, now) + timedelta(seconds=tolerance_s):
        raise FederationError(f"the period from {start} has not begun")
    keys = [(entry.direction, entry.alias) for entry in statement.entries]
    if len(set(keys)) != len(keys):
        raise FederationError("an alias is there twice")


def entry_row(entry: Entry) -> dict[str, Any]:
    """An entry as the database takes it.

    Raises:
        FederationError: a figure is none, or beyond what a ledger keeps.
    """
    tokens = {}
    for name in TOKENS:
        text = getattr(entry, name)
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:  # noqa: PLR2004  # digits of a bigint
            raise FederationError(f"{name}: {text[:40]!r} is no count")
        tokens[name] = int(text)
    return {
        "direction": entry.direction,
        "alias": entry.alias,
        "charges": entry.charges,
        "amount_nanousd": amount_of(entry.amount_usd),
    } | tokens
