"""Every attack, at every set of walls this machine has, without the check of the source: none gets out."""

from __future__ import annotations

import re

import pytest
from sandbox.hostile.catalogue import LOAD_ERROR, attacks

pytestmark = pytest.mark.anyio

_BY_KEY = {attack.key: attack for attack in attacks()}
_STANDS = {"full": {"namespaces", "landlock", "seccomp"}, "no_namespaces": {"landlock", "seccomp"}}


@pytest.mark.parametrize("key", _BY_KEY)
@pytest.mark.parametrize("walls", ["full", "no_namespaces", "seccomp_only"])
async def test_an_attack_is_held(arena, walls, key):
    """It ends as its file says; nothing is stolen or broken, and its neighbour answers all the while."""
    attack = _BY_KEY[key]
    place = await arena(walls, attack.limits)
    standing = {name for name, layer in place.host.sandbox()["layers"].items() if layer["active"]}
    missing = _STANDS.get(walls, {"seccomp"}) - standing
    if missing - {"seccomp"}:
        pytest.skip(f"this machine has no {', '.join(missing)}")
    assert not missing, place.host.sandbox()
    seen = await place.run(attack)
    assert seen.breaches == []
    assert seen.statuses[-1] in attack.outcome, (seen.statuses, seen.reason)
    assert set(seen.statuses[:-1]) <= {"ok"}
    assert re.search(attack.reason, seen.reason), seen.reason
    if attack.then:
        assert seen.then in attack.then


def test_there_are_attacks_enough():
    """At least 80 are there, 20 of them ours; names are unique, and each is a plugin of its own."""
    assert len(_BY_KEY) >= 180
    assert sum(attack.origin == "ours" for attack in _BY_KEY.values()) >= 20
    assert len({attack.name for attack in _BY_KEY.values()}) == len(_BY_KEY)
    bodies = {attack.source.partition("class Attack(Hostile)")[2].split("\n", 2)[2] for attack in _BY_KEY.values()}
    loads = [attack for attack in _BY_KEY.values() if LOAD_ERROR in attack.outcome]
    assert len(bodies) >= len(_BY_KEY) - len(loads)
