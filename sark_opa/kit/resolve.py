"""Which versions of which plugins to take, so that everything that is asked for and required fits together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Final

from packaging.requirements import Requirement
from packaging.version import Version

from sark_opa.errors import PluginError

STEPS_MAX: Final = 20_000
"""Versions tried before it is given up: about a second."""

_ASKED: Final = "you"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version of a plugin there is."""

    name: str
    version: Version
    requires: tuple[Requirement, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class _Wanted:
    requirement: Requirement
    by: str


@dataclass(slots=True)
class _Search:
    candidates: Mapping[str, Sequence[Candidate]]
    prereleases: bool
    steps: int = 0
    deepest: int = -1
    conflict: str = ""
    chosen: dict[str, Candidate] = field(default_factory=dict)

    def solve(self, wanted: Sequence[_Wanted]) -> bool:
        """Choose for the first name that has no choice yet, then for the rest; back to the next one if that fails."""
        open_names = [want.requirement.name for want in wanted if want.requirement.name not in self.chosen]
        if not open_names:
            return self._is_acyclic()
        name = open_names[0]
        wants = [want for want in wanted if want.requirement.name == name]
        fitting = [each for each in self.candidates.get(name, ()) if self._fits(each, wants)]
        if not fitting:
            self._note(name, wants)
        for candidate in fitting:
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise PluginError(f"no answer after {STEPS_MAX} versions tried; ask for narrower versions")
            more = [_Wanted(requirement, str(candidate)) for requirement in candidate.requires]
            self.chosen[name] = candidate
            if self._agrees(candidate, more, wanted) and self.solve([*wanted, *more]):
                return True
            del self.chosen[name]
        return False

    def _fits(self, candidate: Candidate, wants: Iterable[_Wanted]) -> bool:
        return all(satisfies(candidate.version, want.requirement, self.prereleases) for want in wants)

    def _agrees(self, candidate: Candidate, more: Iterable[_Wanted], wanted: Sequence[_Wanted]) -> bool:
        """Whether what a candidate requires lets everything chosen so far stand."""
        for want in more:
            name = want.requirement.name
            other = self.chosen.get(name)
            if other is not None and not self._fits(other, [want]):
                self._note(name, [*(each for each in wanted if each.requirement.name == name), want])
                return False
        return candidate.name not in {want.requirement.name for want in more}

    def _is_acyclic(self) -> bool:
        graph = {name: [needed.name for needed in each.requires] for name, each in self.chosen.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = " requires ".join(reversed(error.args[1]))
            self._say(f"plugins require each other in a circle: {circle}")
            return False
        return True

    def _note(self, name: str, wants: Sequence[_Wanted]) -> None:
        there = ", ".join(str(each.version) for each in self.candidates.get(name, ()))
        asked = "; ".join(dict.fromkeys(f"{want.requirement} (asked for by {want.by})" for want in wants))
        found = f"there are {there}" if there else f"there is no plugin named {name}"
        self._say(f"no version of {name} will do for {asked}; {found}")

    def _say(self, conflict: str) -> None:
        """The conflict that is told is the one met furthest in: what stood in the way to the end."""
        if len(self.chosen) > self.deepest:
            self.deepest, self.conflict = len(self.chosen), conflict


def resolve(
    wanted: Sequence[Requirement],
    candidates: Iterable[Candidate],
    *,
    preferred: Mapping[str, Version] | None = None,
    prereleases: bool = False,
) -> dict[str, Candidate]:
    """A choice of versions: one for each name that is wanted or required, and no other.

    The first name wanted gets the newest version with which everything else can be satisfied, then the second one,
    and so on.

    Args:
        wanted: what is asked for.
        candidates: what there is.
        preferred: versions to be tried first, such as those that are installed.
        prereleases: take pre-releases also where no requirement names one.

    Returns:
        Name to candidate.

    Raises:
        PluginError: there is no such choice; the message says who asks for what.
    """
    by_name: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_name.setdefault(candidate.name, []).append(candidate)
    first = preferred or {}
    for name, found in by_name.items():
        found.sort(key=lambda each: (each.version == first.get(name), each.version), reverse=True)
    search = _Search(by_name, prereleases)
    if not search.solve([_Wanted(requirement, _ASKED) for requirement in wanted]):
        raise PluginError(search.conflict)
    return search.chosen


def satisfies(version: Version, requirement: Requirement, prereleases: bool = False) -> bool:  # noqa: FBT001, FBT002  # as packaging has it
    """Whether a version will do; a pre-release only on request, or where the requirement names one."""
    if version.is_prerelease and not (prereleases or requirement.specifier.prereleases):
        return False
    return requirement.specifier.contains(version, prereleases=True)
