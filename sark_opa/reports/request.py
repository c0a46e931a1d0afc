"""What a report is asked for: groups, filters, period, order. Words from a closed list, values as parameters."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal, get_args

import msgspec

from sark_opa.errors import InvalidInputError
from sark_opa.reports.export.request import check_order, check_zone, moment

Unit = Literal["hour", "day", "month"]
Kind = Literal["org", "principal", "team", "resource", "capability", "provider", "model"]
Order = Literal["key", "actual_usd", "estimated_usd", "charges", "input_tokens", "output_tokens"]
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
LIMIT: Final = 100
LIMIT_MAX: Final = 1_000
_KEYS_MAX: Final = 4
_VALUES_MAX: Final = 100
_TAG: Final = "tag:"


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to group by. `tag` is the name of the tag when `kind` is `tag`."""

    kind: str
    tag: str | None = None

    @property
    def name(self) -> str:
        """As callers write it."""
        return self.kind if self.tag is None else f"{_TAG}{self.tag}"


@dataclass(frozen=True, slots=True)
class Period:
    """From `starts` on and before `ends`, days or instants; None is the default. `timezone` None: the org's own."""

    starts: date | datetime | None = None
    ends: date | datetime | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """What is counted: of each kind any of its values, and of each tag; below all accounts of `within`.

    An empty text is what has none: no team, no provider, no model.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    within: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As `sark.cost_groups_v1` takes it."""
        found: dict[str, Any] = {kind: list(values) for kind, values in self.values.items()}
        if self.within:
            found["within"] = list(self.within)
        if self.tags:
            found["tag"] = {name: list(values) for name, values in self.tags.items()}
        return found


@dataclass(frozen=True, slots=True)
class CostRequest:
    """A question about what was charged. `org` None: every org. `after`: the place of the last row before the page."""

    org: str | None
    period: Period = Period()
    keys: tuple[Key, ...] = ()
    unit: Unit | None = None
    filters: Filters = Filters()
    order: Order = "actual_usd"
    limit: int = LIMIT
    after: list[Any] | None = None

    @property
    def group_by(self) -> list[str]:
        """As callers write it."""
        return [*([self.unit] if self.unit else []), *(key.name for key in self.keys)]

    def cursor(self, place: list[Any]) -> str:
        """The text that stands for a place, for this order and these groups alone."""
        return base64.urlsafe_b64encode(msgspec.json.encode([self.order, self.group_by, place])).decode().rstrip("=")


def period_of(starts: str | None, ends: str | None, timezone: str | None) -> Period:
    """A period from texts as callers write them.

    Raises:
        InvalidInputError: no day, no instant, no time zone, or a period that is empty or backwards.
    """
    if timezone is not None:
        check_zone(timezone)
    first, last = moment("from", starts), moment("to", ends)
    if first is not None and last is not None and isinstance(first, datetime) == isinstance(last, datetime):
        check_order(first, last)
    return Period(first, last, timezone)


def filters_of(
    org: str | None,
    values: Mapping[str, Sequence[str]],
    tags: Sequence[str] = (),
    within: Sequence[str] = (),
) -> Filters:
    """Filters from texts as callers write them.

    Args:
        org: whose costs; the org itself is no filter.
        values: by kind.
        tags: `name=value` each.
        within: accounts.

    Raises:
        InvalidInputError: a tag without `=`, an account of another org or of none, or too many values.
    """
    found = {kind: tuple(dict.fromkeys(given)) for kind, given in values.items() if given}
    by_name: dict[str, list[str]] = {}
    for tag in tags:
        name, equals, value = tag.partition("=")
        if not name or not equals:
            raise InvalidInputError(f"tag: {tag!r} is not name=value", path="tag")
        by_name.setdefault(name, []).append(value)
    for account in within:
        if org is None or account.partition("/")[0] != org:
            raise InvalidInputError(f"account: {account} is not in the org that was asked about", path="account")
    if sum(map(len, found.values())) + len(tags) > _VALUES_MAX:
        raise InvalidInputError(f"at most {_VALUES_MAX} values to filter by", path="tag" if tags else next(iter(found)))
    for kind, given in found.items():
        _printable(kind, given)
    _printable("tag", tags)
    return Filters(
        found,
        {name: tuple(dict.fromkeys(given)) for name, given in by_name.items()},
        tuple(sorted({account for account in within if account != org})),
    )


def groups_of(words: Sequence[str]) -> tuple[tuple[Key, ...], Unit | None]:
    """What to group by, from words as callers write them: each may hold several, with commas between.

    Raises:
        InvalidInputError: a word that is unknown or given twice, two units of time, or too many.
    """
    keys: list[Key] = []
    units: list[Unit] = []
    for word in (part.strip() for each in words for part in each.split(",")):
        if word in UNITS:
            units.append(word)
        elif word.startswith(_TAG) and "=" not in word and word != _TAG:
            keys.append(Key("tag", word.removeprefix(_TAG)))
        elif word in KINDS:
            keys.append(Key(word))
        else:
            known = ", ".join((*KINDS, "tag:NAME", *UNITS))
            raise InvalidInputError(f"group_by: {word!r} is none of {known}", path="group_by")
    _printable("group_by", [key.name for key in keys])
    if len(units) > 1:
        raise InvalidInputError(f"group_by: one of {', '.join(UNITS)}, not several", path="group_by")
    if len(set(keys)) < len(keys):
        raise InvalidInputError("group_by: the same word twice", path="group_by")
    if len(keys) > _KEYS_MAX:
        raise InvalidInputError(f"group_by: at most {_KEYS_MAX} words beside a unit of time", path="group_by")
    return tuple(keys), units[0] if units else None


def cost_request(
    *,
    org: str | None,
    period: Period,
    group_by: Sequence[str],
    filters: Filters,
    order: Order | None = None,
    limit: int = LIMIT,
    after: str | None = None,
) -> CostRequest:
    """A request from texts as callers write them. Without an order: by time where there is one, else the dearest first.

    Raises:
        InvalidInputError: one of them cannot be.
    """
    keys, unit = groups_of(group_by)
    made = CostRequest(org, period, keys, unit, filters, order or ("key" if unit else "actual_usd"), limit)
    if after is None:
        return made
    return CostRequest(org, period, keys, unit, filters, made.order, limit, _place(made, after))


def _place(request: CostRequest, cursor: str) -> list[Any]:
    wrong = InvalidInputError("after: this is not the next_after of a page of the same report", path="after")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        order, groups, place = msgspec.json.decode(
            base64.urlsafe_b64decode(padded), type=tuple[str, list[str], tuple[int, str, str, str, str, str]]
        )
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise wrong from error
    if (order, groups) != (request.order, request.group_by):
        raise wrong
    try:
        at = place[1]
        if at != "-infinity":
            datetime.fromisoformat(at)
    except ValueError as error:
        raise wrong from error
    if not -(2**63) <= place[0] < 2**63 or any("\x00" in part for part in place[2:]):
        raise wrong
    return list(place)


def _printable(path: str, texts: Sequence[str]) -> None:
    if any("\x00" in text for text in texts):
        raise InvalidInputError(f"{path}: no name has a null character", path=path)
