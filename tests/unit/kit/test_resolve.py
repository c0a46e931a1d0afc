"""The choice of versions, held against trying every choice there is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from sark_opa.errors import PluginError
from sark_opa.kit import resolve as resolving
from sark_opa.kit.resolve import Candidate, resolve, satisfies
from sark_opa.sandbox.packages import requirement

NAMES = ["a", "b", "c", "d"]
VERSIONS = ["1.0", "1.5", "2.0", "3.0b1"]


def candidate(name: str, version: str, *requires: str) -> Candidate:
    """A version of a plugin."""
    return Candidate(name, Version(version), tuple(map(Requirement, requires)))


def shown(chosen: Mapping[str, Candidate]) -> dict[str, str]:
    """Name to version."""
    return {name: str(each.version) for name, each in chosen.items()}


requirements = st.builds(
    lambda name, specifier: f"{name}{specifier}",
    st.sampled_from(NAMES),
    st.sampled_from(["", ">=1.5", "<2", "==1.0", "!=1.5", ">=2", ">=3.0b1", ">=1,<1.5"]),
)
candidates = st.lists(
    st.builds(
        lambda name, version, requires: candidate(name, version, *requires),
        st.sampled_from(NAMES),
        st.sampled_from(VERSIONS),
        st.lists(requirements, max_size=2, unique_by=lambda text: text[0]),
    ),
    max_size=9,
    unique_by=lambda each: (each.name, each.version),
)


def is_sound(chosen: Mapping[str, Candidate], wanted: Sequence[Requirement]) -> bool:
    """Everything asked for is there in a version that will do, nothing else is, and nothing is asked after itself."""
    asked = [*wanted, *(needed for each in chosen.values() for needed in each.requires)]
    if not all(need.name in chosen and satisfies(chosen[need.name].version, need) for need in asked):
        return False
    reached, waiting = set(), [need.name for need in wanted]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [needed.name for needed in chosen[name].requires]
    try:
        TopologicalSorter({name: [n.name for n in each.requires] for name, each in chosen.items()}).prepare()
    except CycleError:
        return False
    return reached == set(chosen)


def every_sound_choice(wanted: Sequence[Requirement], there: Sequence[Candidate]) -> list[dict[str, Candidate]]:
    """By trying them all."""
    by_name = [[None, *(each for each in there if each.name == name)] for name in NAMES]
    choices = ({each.name: each for each in choice if each} for choice in itertools.product(*by_name))
    return [choice for choice in choices if is_sound(choice, wanted)]


@settings(max_examples=400, deadline=None)
@given(st.lists(requirements, min_size=1, max_size=3), candidates)
def test_it_finds_a_choice_exactly_if_there_is_one(texts: list[str], there: list[Candidate]) -> None:
    """Sound, and of the first name asked for the newest version that any sound choice has."""
    wanted = list(map(Requirement, texts))
    choices = every_sound_choice(wanted, there)
    try:
        chosen = resolve(wanted, there)
    except PluginError:
        assert choices == []
        return
    assert is_sound(chosen, wanted)
    first = wanted[0].name
    assert chosen[first].version == max(choice[first].version for choice in choices)


INDEX = [
    candidate("gate", "2.0", "limit>=2"),
    candidate("gate", "1.0", "limit<2"),
    candidate("limit", "1.0"),
    candidate("limit", "1.9"),
    candidate("limit", "2.1"),
    candidate("limit", "3.0rc1"),
    candidate("hours", "1.0", "limit<2"),
]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["limit"], {"limit": "2.1"}),
        (["limit<2"], {"limit": "1.9"}),
        (["gate"], {"gate": "2.0", "limit": "2.1"}),
        (["gate", "hours"], {"gate": "1.0", "limit": "1.9", "hours": "1.0"}),
        (["limit>=3.0rc1"], {"limit": "3.0rc1"}),
    ],
)
def test_the_newest_that_satisfies_all(wanted: list[str], expected: dict[str, str]) -> None:
    """Going back where two plugins want different versions of a third; no pre-release unless it is named."""
    assert shown(resolve(list(map(Requirement, wanted)), INDEX)) == expected


def test_a_prerelease_is_taken_on_request_and_what_is_preferred_is_kept() -> None:
    """Both change only which version is tried first."""
    assert shown(resolve([Requirement("limit")], INDEX, prereleases=True)) == {"limit": "3.0rc1"}
    assert shown(resolve([Requirement("limit")], INDEX, preferred={"limit": Version("1.0")})) == {"limit": "1.0"}
    chosen = resolve([Requirement("gate"), Requirement("limit")], INDEX, preferred={"limit": Version("1.0")})
    assert shown(chosen) == {"gate": "2.0", "limit": "2.1"}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            ["limit>5"],
            r"no version of limit will do for limit>5 \(asked for by you\); there are 3\.0rc1, 2\.1, 1\.9, 1\.0",
        ),
        (["nobody"], "no version of nobody will do .*; there is no plugin named nobody"),
        (["gate>=2", "hours"], r"limit<2 \(asked for by hours 1\.0\)"),
    ],
)
def test_a_conflict_says_who_asks_for_what(wanted: list[str], message: str) -> None:
    """With the versions there are."""
    with pytest.raises(PluginError, match=message):
        resolve(list(map(Requirement, wanted)), INDEX)


def test_a_circle_is_told() -> None:
    """Another version without one is taken if there is any."""
    circle = [candidate("a", "2", "b"), candidate("b", "1", "a>=2")]
    with pytest.raises(PluginError, match=r"in a circle: (a requires b requires a|b requires a requires b)"):
        resolve([Requirement("a")], circle)
    assert shown(resolve([Requirement("a")], [*circle, candidate("b", "0.9")])) == {"a": "2", "b": "0.9"}


def test_it_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that a stranger made to be hard does not keep anybody waiting."""
    monkeypatch.setattr(resolving, "STEPS_MAX", 1_000)
    there = [candidate(f"p{n}", f"{v}", f"p{n + 1}") for n in range(12) for v in range(1, 5)]
    there += [candidate("p12", "1", "missing")]
    with pytest.raises(PluginError, match="no answer after 1000 versions tried"):
        resolve([Requirement("p0")], there)


@pytest.mark.parametrize(
    "text", ["a>=" + "1" * 5_000, "a===first", "a[x]", "a; python_version>'3'", "a @ https://x", "A", ""]
)
def test_a_requirement_is_a_name_and_versions(text: str) -> None:
    """Anything more, or too much of it, is refused before it is compared with anything."""
    with pytest.raises(ValueError, match=r"requirement|more than a name|compares texts|no plugin's name"):
        requirement.parse(text)


@given(st.text(max_size=12) | st.from_regex(r"a(===|[<>=!~]=|[<>])[0-9.*+!ab]{1,6}", fullmatch=True))
def test_what_is_a_requirement_can_be_compared(text: str) -> None:
    """With every version."""
    try:
        parsed = requirement.parse(text)
    except ValueError:
        return
    assert satisfies(Version("1.5"), parsed) in {True, False}
    assert satisfies(Version("3.0b1"), parsed, prereleases=True) in {True, False}
