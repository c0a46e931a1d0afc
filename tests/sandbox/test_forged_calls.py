"""A plugin that takes the worker's connection and makes up calls itself: each ends in a violation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fixtures.plugins import no_facts, question

from sark_opa.errors import PluginError
from sark_opa.sandbox import Verdict

pytestmark = pytest.mark.anyio

# What a hostile plugin finds: the worker's own objects, which send whatever it likes. A call is
# ["call", question id, number, action, key, limit, window_s, cost].
REACH = """
calls = next(o for o in reach("gc").get_objects() if type(o).__name__ == "Calls")
msgpack, struct = reach("msgspec").msgpack, reach("struct")

def send(message):
    body = msgpack.encode(message)
    calls._connection.sendall(struct.pack(">I", len(body)) + body)

def call(**other):
    fields = {"id": calls._question_id, "number": 1, "action": "hit", "key": b"k", "limit": 1, "window": 60, "cost": 1}
    send(["call", *{**fields, **other}.values()])
"""
REST = """
await asyncio.sleep(0.5)
return PolicyDecision(True, "it was not noticed")
"""

FORGED = {
    "a huge key": "call(key=b'k' * 257)",
    "an empty key": "call(key=b'')",
    "a text for a key": "call(key='k')",
    "a limit of none": "call(limit=0)",
    "a huge limit": "call(limit=1_000_001)",
    "a truth for a limit": "call(limit=True)",
    "a fraction for a limit": "call(limit=1.5)",
    "a huge window": "call(window=31 * 86_400 + 1)",
    "a negative window": "call(window=-1)",
    "a cost of none": "call(cost=0)",
    "a negative cost": "call(cost=-1)",
    "a huge cost": "call(cost=1_001)",
    "another action": "call(action='clear')",
    "another question": "call(id=calls._question_id + 1)",
    "the question before": "call(id=calls._question_id - 1)",
    "no question": "call(id=0)",
    "a second one of the same number": "call()\ncall()",
    "a number left out": "call(number=2)",
    "number 0": "call(number=0)",
    "17 calls": "for number in range(1, 18): call(number=number)",
    "17 calls in one frame's time": "calls._count = -1\nfor number in range(1, 18): call(number=number, action='peek')",
    "a result": "send(['result', calls._question_id, 1, None, True, 1, 0.0])",
    "a call that lacks its cost": "send(['call', calls._question_id, 1, 'hit', b'k', 1, 60])",
    "a capability there is none of": "send(['file', calls._question_id, 1, '/etc/passwd'])",
    "after its own answer": "send(['answer', calls._question_id, 'ok', True, '', {}, '', [], None])\ncall()",
}


async def _ask(host: Any) -> Verdict:
    (verdict,) = await host.evaluate(question(), deadline_s=20, facts=no_facts)
    return verdict


@pytest.mark.parametrize("case", FORGED)
async def test_a_forged_call_is_a_violation(shared_host, write_plugin, case):
    """The process is killed at once and its question denied; the plugin is asked no more."""
    await shared_host.load(write_plugin(REACH + FORGED[case] + REST, needs=["rate_window"]))
    verdict = await _ask(shared_host)
    if case == "after its own answer":  # its own decision it may give as it likes
        assert (verdict.status, verdict.allowed) == ("ok", True)
        for _ in range(100):
            if shared_host.plugins()[0].state == "quarantined":
                break
            await asyncio.sleep(0.01)
    else:
        assert (verdict.allowed, verdict.status) == (False, "violation"), verdict
    assert (await _ask(shared_host)).status == "quarantined"


@pytest.mark.parametrize("count", [1, 3])
async def test_a_call_of_what_was_not_granted_is_a_violation(shared_host, write_plugin, count):
    """However well it is formed: what a plugin may call is held by the service."""
    body = f"{REACH}\nfor number in range({count}): call(number=number + 1)\n{REST}"
    await shared_host.load(write_plugin(body, needs=["clock"]))

    async def facts(_need: str) -> Any:
        return {}

    (verdict,) = await shared_host.evaluate(question(), deadline_s=20, facts=facts)
    assert (verdict.allowed, verdict.status) == (False, "violation")
    assert "not granted" in verdict.reason


async def test_a_plugin_that_grants_itself_everything_has_nothing(shared_host, write_plugin):
    """A host object of its own making sends calls, which the service does not take."""
    body = f"""
{REACH}
kind = reach("sark_opa.sandbox.guest.calls").GrantedHost
await kind(calls, ("rate_window",)).rate_window.hit("k", limit=1, window_seconds=1)
{REST}
"""
    await shared_host.load(write_plugin(body))
    assert (await _ask(shared_host)).status == "violation"


async def test_a_call_while_it_is_loaded_is_a_violation(shared_host, tmp_path):
    """Nothing is granted before the plugin has said who it is; it is not loaded."""
    source = f"""
import asyncio, typing
from sark_opa.plugin import PolicyDecision, PolicyPlugin

def reach(name):
    return typing.sys.modules[name]

class Early(PolicyPlugin):
    name, version = "early", "1"

    async def on_load(self):
{REACH.replace(chr(10), chr(10) + " " * 8)}
        call(id=1)

    async def evaluate(self, context):
        return PolicyDecision(True, "")
"""
    path = tmp_path / "early.py"
    path.write_text(source)
    with pytest.raises(PluginError, match="violation"):
        await shared_host.load(path)
    assert shared_host.plugins() == ()


async def test_a_peer_is_served_meanwhile(shared_host, write_plugin):
    """The plugin beside a hostile one keeps its windows and its process."""
    good = """
    hit = await context.host.rate_window.hit("peer", limit=2, window_seconds=60)
    return PolicyDecision(hit.allowed, str(hit.remaining))
    """
    await shared_host.load(write_plugin(good, name="peer", priority=1, needs=["rate_window"]))
    await shared_host.load(
        write_plugin(REACH + FORGED["17 calls"] + REST, name="hostile", priority=1, needs=["rate_window"])
    )
    seen = [await shared_host.evaluate(question(), deadline_s=20, facts=no_facts) for _ in range(3)]
    said = [{verdict.plugin: verdict for verdict in verdicts} for verdicts in seen]
    assert [verdicts["peer"].allowed for verdicts in said] == [True, True, False]
    assert [verdicts["hostile"].status for verdicts in said] == ["violation", "quarantined", "quarantined"]
