"""Who is asked after whom: by priority, and after everything a plugin requires."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import TypeAlias

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from sark_opa.errors import PluginError
from sark_opa.sandbox.member import Member
from sark_opa.sandbox.stand_in import StandIn

Groups: TypeAlias = tuple[tuple[Member, ...], ...]
"""Those of one group are asked at the same time, one group after the other."""


def arranged(enabled: Iterable[Member], disabled: Iterable[Member] = ()) -> Groups:
    """The order in which plugins are asked.

    Lower priority first. A plugin that requires others is asked after them whatever the priorities: it counts
    as no earlier than the latest of them and, within one priority, comes in a later group than they do.

    Args:
        enabled: those that are asked.
        disabled: those that are loaded and not asked; only a cycle through them is refused.

    Raises:
        PluginError: a requirement is missing or of another version, or plugins require each other in a circle.
    """
    asked = {member.name: member for member in enabled}
    asleep = {member.name: member for member in disabled}
    names = _required_first({**asked, **asleep})
    place: dict[str, tuple[int, int]] = {}
    for name in names:
        if name in asked:
            _check_requirements(asked[name], asked, asleep)
            place[name] = _place(asked[name], place)
    ordered = sorted(asked.values(), key=lambda member: (place[member.name], member.name))
    return tuple(tuple(group) for _, group in groupby(ordered, key=lambda member: place[member.name]))


def dependents(name: str, members: Iterable[Member]) -> list[str]:
    """Which of the members require the plugin of that name, in alphabetical order."""
    return sorted(member.name for member in members if any(needed.name == name for needed in member.requires))


def _required_first(members: Mapping[str, Member]) -> Sequence[str]:
    graph = {name: [needed.name for needed in member.requires] for name, member in members.items()}
    try:
        return [name for name in TopologicalSorter(graph).static_order() if name in members]
    except CycleError as error:
        raise _circle(members, error.args[1]) from error


def _circle(members: Mapping[str, Member], found: Sequence[str]) -> PluginError:
    """Told from its first name in the alphabet, so that one circle always reads the same."""
    names = found[:0:-1]  # as found each is required by the next one, and the first is the last
    first = names.index(min(names))
    circle = [*names[first:], *names[:first], names[first]]
    return PluginError(
        f"plugins require each other in a circle: {' requires '.join(circle)}",
        path=members[circle[0]].origin,
        field="requires",
        plugin=circle[0],
        cycle=circle,
    )


def _check_requirements(member: Member, asked: Mapping[str, Member], asleep: Mapping[str, Member]) -> None:
    for needed in member.requires:
        found = asked.get(needed.name)
        if found is None and needed.name in asleep:
            raise _unmet(member, needed, "it is disabled; enable it first")
        if found is None:
            raise _unmet(member, needed, "it is not loaded; load it first")
        if isinstance(found, StandIn):
            continue  # whatever its version: what is missing here must not keep its failures out
        try:
            fits = needed.specifier.contains(Version(found.version), prereleases=True)
        except InvalidVersion as error:
            if needed.specifier:
                why = f"its version {found.version!r} cannot be compared; versions are such as 1.0.0"
                raise _unmet(member, needed, why) from error
            fits = True
        if not fits:
            raise _unmet(member, needed, f"version {found.version} is loaded")


def _unmet(member: Member, needed: Requirement, why: str) -> PluginError:
    return PluginError(
        f"{member.origin}: requires: {member.name} requires {needed}: {why}",
        path=member.origin,
        field="requires",
        plugin=member.name,
        requirement=str(needed),
    )


def _place(member: Member, place: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Its effective priority, and how many groups of that priority come before its own."""
    required = [place[needed.name] for needed in member.requires]
    priority = max([member.priority, *(priority for priority, _ in required)])
    turn = max((turn + 1 for at, turn in required if at == priority), default=0)
    return priority, turn
