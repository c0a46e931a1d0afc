"""The suite can fail: behind too few walls the same attacks get out, and the same looks notice."""

from __future__ import annotations

import pytest
from sandbox.hostile.catalogue import attacks

pytestmark = pytest.mark.anyio

HARMLESS = {
    "reads_a_file": "it got ['ESCAPED', 'hunter2-do-not-tell']",
    "writes_a_file": "the folder holds",
    "tcp": "somebody connected by TCP",
    "udp": "somebody sent b'ESCAPED'",
    "abstract_socket": "somebody connected by unix",
    "own_session": "it got ['ESCAPED']",
    "memfd": "it got ['ESCAPED']",
    "writable_code": "it got ['ESCAPED']",
    "clock_of_another": "it got ['ESCAPED']",
    "stat": "it got ['ESCAPED']",
    "system_identity": "it got ['ESCAPED']",
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_gets_out_is_noticed(arena, name):
    """With limits and another user alone, these harmless ones succeed and are reported as breaches."""
    place = await arena("none")
    attack = next(attack for attack in attacks() if attack.name == name)
    seen = await place.run(attack)
    assert any(HARMLESS[name] in breach for breach in seen.breaches), seen
    place.canaries.restore()


async def test_a_neighbour_that_dies_is_noticed(arena):
    """A run during which the neighbour's process was replaced is a breach."""
    place = await arena("none")
    place.neighbour_pid += 1
    seen = await place.run(next(attack for attack in attacks() if attack.name == "system_exit"))
    place.neighbour_pid -= 1
    assert "the neighbour has another process" in seen.breaches
