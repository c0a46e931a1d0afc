"""Where the answer to a report is read: in the daily summaries of one dimension, or in the charges."""

from __future__ import annotations

from typing import Final, Protocol

from sark_opa.reports.request import CostRequest

_DIMENSIONS: Final = {
    "principal": "principal",
    "team": "account",
    "resource": "resource",
    "capability": "capability",
    "provider": "model",
    "model": "model",
    "tag": "tag",
}


class Days(Protocol):
    """What of a period decides it."""

    @property
    def whole_days(self) -> bool:
        """Whether it is made of days that the summaries have."""

    @property
    def nested_teams(self) -> bool:
        """Whether teams lie below teams: then the summary of a team is not what its members spent."""

    @property
    def crowded_tags(self) -> bool:
        """Whether a tag that is asked for has values that the summaries do not tell apart."""


def dimension_of(request: CostRequest, days: Days) -> str | None:
    """The dimension of the daily summaries that has the whole answer; None: only the charges have it.

    Each dimension is summed up by itself, so an answer must need no two of them.
    """
    filters = request.filters
    if not days.whole_days or request.unit == "hour" or "" in filters.values.get("team", ()):
        return None
    needed = {_DIMENSIONS[key.kind] for key in request.keys if key.kind != "org"}
    needed |= {_DIMENSIONS[kind] for kind in filters.values if kind != "org"}
    tags = {key.tag for key in request.keys if key.kind == "tag"} | set(filters.tags)
    asks_team = "account" in needed
    if filters.tags:
        needed.add("tag")
    if filters.within:
        needed.add(_dimension_within(filters.within[0]))
    one = len(needed) <= 1 and len(tags) <= 1 and len(filters.within) <= 1
    mixed = asks_team and (days.nested_teams or bool(filters.within))
    if not one or mixed or (filters.tags and days.crowded_tags) or (filters.within and request.keys):
        return None
    return next(iter(needed), "org")


def _dimension_within(account: str) -> str:
    return "principal" if account.split("/")[1] == "principal" else "account"
