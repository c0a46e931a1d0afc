"""The bundled plugins' own cases, run in the sandbox, and the runner itself."""

from __future__ import annotations

import pytest

from sark_opa.bundled import folder
from sark_opa.errors import PluginError
from sark_opa.kit import cases, pack

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["business_hours", "rate_limit", "cost_aware"])
async def test_a_bundled_plugin_passes_its_cases(anyio_backend, name):
    """Every case of plugins/<name>/cases.yaml gets the verdicts it states."""
    results = await cases.run(folder("plugins") / name)
    assert len(results) >= 6
    assert {result.name: result.faults for result in results if result.faults} == {}


async def test_a_case_that_fails_says_where_and_how(anyio_backend, write_plugin):
    """Each difference is named with its step, what was expected and what was seen; prints are shown."""
    path = write_plugin("print('looked')\nreturn PolicyDecision(True, 'yes', {'n': self.calls})", config={})
    (path / "cases.yaml").write_text(
        """
        cases:
          - name: all wrong
            steps:
              - expect: {allowed: false, status: error, reason: never, metadata: {n: 2, m: 1}}
              - {repeat: 2, expect: {allowed: true, metadata: {n: 2}}}
          - name: starts anew
            steps:
              - expect: {allowed: true, metadata: {n: 1}}
        """
    )
    first, second = await cases.run(path)
    assert first.faults == (
        "step 1: status is ok, expected error: allowed with 'yes'",
        "step 1: expected to be denied, was allowed with 'yes'",
        "step 1: the reason is 'yes', expected to contain 'never'",
        "step 1: metadata.n is 1, expected 2",
        "step 1: metadata.m is None, expected 1",
        "step 2, time 2: metadata.n is 3, expected 2",
    )
    assert first.output == "looked\n" * 3
    assert (second.name, second.faults) == ("starts anew", ())


WRONG = {
    "no cases": ("cases: []", r"cases\.yaml:1: cases: List should have at least 1 item"),
    "no expectation": ("cases: [{name: x, steps: [{}]}]", r"cases\.0\.steps\.0\.expect: Field required"),
    "misspelt": (
        "cases: [{name: x, steps: [{expect: {alowed: true, allowed: true}}]}]",
        r"cases\.0\.steps\.0\.expect\.alowed: Extra inputs",
    ),
    "no zone": (
        "cases: [{name: x, steps: [{at: 2026-03-02T10:00:00, expect: {allowed: true}}]}]",
        r"cases\.0\.steps\.0\.at: Input should have timezone info",
    ),
    "no yaml": ("cases: [", r"cases\.yaml:1: expected the node content"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_cases_are_named_by_field(anyio_backend, write_plugin, case):
    """A cases file that says nothing, or something else, is refused before anything runs."""
    text, message = WRONG[case]
    path = write_plugin("return PolicyDecision(True, '')", config={})
    (path / "cases.yaml").write_text(text)
    with pytest.raises(PluginError, match=message):
        await cases.run(path)


async def test_what_is_required_is_made_up(anyio_backend, write_plugin):
    """It allows, with what a step says of it; the plugin itself is the one that is looked at."""
    path = write_plugin(
        "said = context.facts['verdicts']\nreturn PolicyDecision(True, '', {'said': said})",
        priority=-5,
        requires=["hours>=2", "limit"],
    )
    (path / "cases.yaml").write_text(
        """
        cases:
          - name: both have allowed
            steps:
              - verdicts: {limit: {reason: 3 left, metadata: {remaining: 3}}}
                expect:
                  allowed: true
                  metadata:
                    said:
                      hours: {allowed: true, reason: "", metadata: {}, status: ok}
                      limit: {allowed: true, reason: 3 left, metadata: {remaining: 3}, status: ok}
        """
    )
    (result,) = await cases.run(path)
    assert result.faults == ()


async def test_one_case_can_be_run_alone_and_from_an_archive(anyio_backend, tmp_path):
    """By its name; a name nobody has is an error."""
    name, data = pack.pack(folder("plugins") / "rate_limit")
    (tmp_path / name).write_bytes(data)
    (result,) = await cases.run(tmp_path / name, only="every principal has a window of its own")
    assert result.faults == ()
    with pytest.raises(PluginError, match="has no case named 'nobody'"):
        await cases.run(tmp_path / name, only="nobody")
