"""Where the answer to a report is read: in daily sums by one dimension or by several at once, or in the charges."""

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
}
_GRAINS: Final = {
    "team_model": frozenset({"team", "resource", "provider", "model"}),
    "team_principal": frozenset({"team", "principal"}),
}
"""What sums by several dimensions at once tell apart, beside the org and all accounts above the principal."""


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

    @property
    def grouped(self) -> bool:
        """Whether the sums by several dimensions at once have all of it."""


def dimension_of(request: CostRequest, days: Days) -> str | None:
    """The dimension, or the grain, of the daily summaries that has the whole answer; None: only the charges have it."""
    if not days.whole_days or request.unit == "hour":
        return None
    return _one_dimension(request, days) or (_grain(request) if days.grouped else None)


def _one_dimension(request: CostRequest, days: Days) -> str | None:
    """Each dimension is summed up by itself, so an answer must need no two of them."""
    filters = request.filters
    needed = {_DIMENSIONS[kind] for kind in _kinds(request) if kind != "tag"}
    tags = {key.tag for key in request.keys if key.kind == "tag"} | set(filters.tags)
    asks_team = "account" in needed
    if tags:
        needed.add("tag")
    if filters.within:
        needed.add("principal" if _is_principal(filters.within[0]) else "account")
    one = len(needed) <= 1 and len(tags) <= 1 and len(filters.within) <= 1
    mixed = asks_team and (days.nested_teams or bool(filters.within) or "" in filters.values.get("team", ()))
    if not one or mixed or (filters.tags and days.crowded_tags) or (filters.within and request.keys):
        return None
    return next(iter(needed), "org")


def _grain(request: CostRequest) -> str | None:
    """Of the grains that tell enough apart, the first: it is the one with fewer sums of an org."""
    needed = _kinds(request) | ({"principal"} if any(map(_is_principal, request.filters.within)) else set())
    if request.filters.tags:
        return None
    return next((grain for grain, told in _GRAINS.items() if needed <= told), None)


def _kinds(request: CostRequest) -> set[str]:
    """What has to be told apart beside orgs: to group by it, or to leave others out."""
    return ({key.kind for key in request.keys} | set(request.filters.values)) - {"org"}


def _is_principal(account: str) -> bool:
    return account.split("/")[1] == "principal"
