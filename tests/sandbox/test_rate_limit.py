"""The rate limit plugin in the sandbox: its windows in the service or its own, across crashes and reloads."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.plugins import processes_of, question

from sark_opa.bundled import folder
from sark_opa.sandbox import Verdict

pytestmark = pytest.mark.anyio

PLUGIN = folder("plugins") / "rate_limit"


async def _ask(host: Any, *, load: float = 0.0, **fields: Any) -> Verdict:
    async def facts(need: str) -> Any:
        assert need == "host_load"
        return {"load": load, "error_rate": 0.0}

    (verdict,) = await host.evaluate(question(**fields), deadline_s=20, facts=facts)
    return verdict


@pytest.mark.parametrize("window", ["shared", "local"])
async def test_a_crash_does_not_open_the_gate(host, window):
    """Nor does loading the plugin anew: what was allowed before counts on."""
    config = {"max_requests": 4, "window": window}
    await host.load(PLUGIN, config=config)
    assert [(await _ask(host)).allowed for _ in range(2)] == [True, True]
    (process,) = await processes_of(host, 1)
    process.kill()
    verdict = await _ask(host)
    if verdict.status == "crashed":  # it was put to the process that died: denied, and not counted
        verdict = await _ask(host)
    assert verdict.metadata["remaining"] == 1
    await host.load(PLUGIN, config=config)
    assert (await _ask(host)).metadata["remaining"] == 0
    denied = await _ask(host)
    assert (denied.allowed, denied.status) == (False, "ok")


@pytest.mark.parametrize("window", ["shared", "local"])
async def test_orgs_and_principals_are_apart(shared_host, window):
    """A principal of the same name in another org has a window of its own."""
    await shared_host.load(PLUGIN, config={"max_requests": 1, "window": window})
    for org, principal_id in (("acme", "ada"), ("globex", "ada"), ("acme", "bob"), ("", "acme/ada")):
        asked = {"org": org, "principal_id": f"{window}-{principal_id}"}
        assert (await _ask(shared_host, **asked)).allowed
        assert not (await _ask(shared_host, **asked)).allowed


async def test_a_shared_limit_tightens_with_the_load(shared_host):
    """And calls made while it was whole count against the tightened one."""
    await shared_host.load(PLUGIN, config={"max_requests": 10, "adaptive": {"load_from": 0.5, "floor_share": 0.2}})
    verdicts = [await _ask(shared_host, load=load, principal_id="tightened") for load in (0.0, 0.0, 1.0, 0.75, 0.0)]
    assert [verdict.metadata["limit"] for verdict in verdicts] == [10, 10, 2, 6, 10]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False, True, True]
    assert verdicts[-1].metadata["remaining"] == 6


async def test_a_file_without_a_manifest_counts_by_itself(shared_host):
    """The source alone has nothing granted, and needs nothing."""
    await shared_host.load(PLUGIN / "plugin.py", config={"max_requests": 1})
    assert (await _ask(shared_host)).allowed
    assert not (await _ask(shared_host)).allowed
