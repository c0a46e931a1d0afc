"""The order of plugins that require each other, and every way in which there is none."""

from __future__ import annotations

import pytest
from fixtures.objects import Registered
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.errors import PluginError
from sark_opa.sandbox.contract import Limits
from sark_opa.sandbox.in_process import InProcess
from sark_opa.sandbox.order import arranged, dependents
from sark_opa.sandbox.stand_in import StandIn


def _member(name, priority=100, requires=(), version="1.0.0"):
    return InProcess(Registered(name=name, priority=priority, version=version), Limits(), requires=requires)


def _names(groups):
    return [[member.name for member in group] for group in groups]


def test_priorities_alone_make_the_groups():
    """Lower first, equal ones in one group, in alphabetical order, whatever order they came in."""
    members = [_member("c", 5), _member("b", -5), _member("a", 5), _member("d", 7)]
    assert _names(arranged(members)) == [["b"], ["a", "c"], ["d"]]
    assert arranged([]) == ()


def test_a_required_plugin_comes_first_whatever_the_priorities():
    """Its priority holds for those that require it, too; what they do not touch stays where it is."""
    members = [_member("late", 1, ["base"]), _member("base", 50), _member("early", 10), _member("after", 60)]
    assert _names(arranged(members)) == [["early"], ["base"], ["late"], ["after"]]


def test_equal_priorities_make_room_for_each_other():
    """Those that require nothing are asked together, then those that require them, together."""
    members = [
        _member("a"),
        _member("b", requires=["a"]),
        _member("c", requires=["b"]),
        _member("d", requires=["a"]),
        _member("e"),
    ]
    assert _names(arranged(members)) == [["a", "e"], ["b", "d"], ["c"]]


def test_a_diamond():
    """Both sides at once, after the one above and before the one below, which takes the later side's priority."""
    members = [
        _member("bottom", 0, ["left>=1", "right"]),
        _member("left", 20, ["top"]),
        _member("right", 20, ["top"]),
        _member("top", 10),
        _member("beside", 20),
    ]
    assert _names(arranged(members)) == [["top"], ["beside", "left", "right"], ["bottom"]]


CIRCLES = {
    "itself": ({"a": ["a"]}, "a requires a"),
    "two": ({"a": ["b"], "b": ["a"]}, "a requires b requires a"),
    "three": ({"c": ["a"], "b": ["c"], "a": ["b"], "d": ["a"]}, "a requires b requires c requires a"),
}


@pytest.mark.parametrize("case", CIRCLES)
@pytest.mark.parametrize("enabled", [True, False])
def test_a_circle_is_told_in_full(case, enabled):
    """From its first name on, also when some of it are disabled: they could never all be enabled."""
    requires, told = CIRCLES[case]
    members = [_member(name, requires=required) for name, required in requires.items()]
    with pytest.raises(PluginError) as caught:
        arranged(members if enabled else [], [] if enabled else members)
    assert caught.value.message == f"plugins require each other in a circle: {told}"
    assert caught.value.details["field"] == "requires"
    assert caught.value.details["cycle"] == told.split(" requires ")


UNMET = {
    "missing": (["other"], {}, "requires other: it is not loaded; load it first"),
    "disabled": (["asleep"], {}, "requires asleep: it is disabled; enable it first"),
    "too old": (["base>=1.1"], {}, "requires base>=1.1: version 1.0.0 is loaded"),
    "too new": (["base<1,>=0.5"], {}, "requires base<1,>=0.5: version 1.0.0 is loaded"),
    "not that one": (["base!=1.0"], {}, "requires base!=1.0: version 1.0.0 is loaded"),
    "the second": (["base", "other"], {}, "requires other: it is not loaded; load it first"),
    "no version": (["base>=1"], {"version": "latest"}, "its version 'latest' cannot be compared"),
}


@pytest.mark.parametrize("case", UNMET)
def test_a_requirement_that_is_not_met_is_named(case):
    """With who requires it, and why it is not met; the field is `requires`."""
    requires, base, told = UNMET[case]
    with pytest.raises(PluginError) as caught:
        arranged([_member("late", requires=requires), _member("base", **base)], [_member("asleep")])
    assert told in caught.value.message
    assert "late requires " in caught.value.message
    details = caught.value.details
    assert (details["field"], details["plugin"], details["requirement"]) == ("requires", "late", requires[-1])


def test_versions_are_compared_as_versions():
    """1.10 is later than 1.9, a prerelease of the next one will do, and any version meets a bare name."""
    for version, requirement in (
        ("1.10", "base>=1.9"),
        ("2.0rc1", "base>=1.0"),
        ("1.0.0", "base==1.0"),
        ("anything", "base"),
        ("1.4.9", "base~=1.4"),
    ):
        groups = arranged([_member("base", version=version), _member("late", requires=[requirement])])
        assert _names(groups) == [["base"], ["late"]]


def test_a_disabled_plugin_requires_nothing_yet():
    """What it requires matters once it is enabled."""
    assert _names(arranged([_member("a")], [_member("asleep", requires=["nobody>=9"])])) == [["a"]]


def test_a_stand_in_will_do_for_any_version():
    """What cannot be loaded must not keep its own failures from being told."""
    missing = StandIn("base", version="nonsense", reason="gone", on_error="deny")
    assert _names(arranged([_member("late", requires=["base>=2"]), missing])) == [["base"], ["late"]]


def test_dependents_are_those_that_require_it_themselves():
    """In alphabetical order, and not those further away."""
    members = [
        _member("a"),
        _member("z", requires=["a>=1"]),
        _member("b", requires=["a"]),
        _member("c", requires=["b"]),
    ]
    assert dependents("a", members) == ["b", "z"]


@given(st.lists(st.tuples(st.integers(-3, 3), st.sets(st.integers(0, 11), max_size=4)), max_size=12))
def test_any_order_keeps_its_promises(drawn):
    """For any plugins without a circle: required ones earlier, none before its priority's turn, each exactly once."""
    wanted = [
        (priority, {other for other in others if other < number}) for number, (priority, others) in enumerate(drawn)
    ]
    members = [_member(f"p{n}", priority, [f"p{o}" for o in others]) for n, (priority, others) in enumerate(wanted)]
    groups = arranged(reversed(members))
    place = {member.name: number for number, group in enumerate(groups) for member in group}
    assert len(place) == sum(map(len, groups)) == len(members)
    effective: list[int] = []
    for number, (priority, others) in enumerate(wanted):
        effective.append(max([priority, *(effective[other] for other in others)]))
        assert all(place[f"p{other}"] < place[f"p{number}"] for other in others)
    in_order = [effective[int(member.name[1:])] for group in groups for member in group]
    assert in_order == sorted(in_order)
    # No later than needed: every group but the first of its priority has someone it had to wait for.
    for number, (_, others) in enumerate(wanted):
        before = [effective[int(m.name[1:])] for m in groups[place[f"p{number}"] - 1]] if place[f"p{number}"] else []
        if effective[number] in before:
            assert any(place[f"p{other}"] == place[f"p{number}"] - 1 for other in others)
