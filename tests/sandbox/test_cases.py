"""The bundled plugins' own cases, run in the sandbox, and the runner itself."""

from __future__ import annotations

import pytest

from sark_opa.bundled import folder
from sark_opa.errors import PluginError
from sark_opa.kit import cases
from sark_opa.kit.__main__ import main

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
    "no cases": ("cases: []", r"cases\.yaml: cases: List should have at least 1 item"),
    "no expectation": ("cases: [{name: x, steps: [{}]}]", r"cases\.0\.steps\.0\.expect: Field required"),
    "misspelt": (
        "cases: [{name: x, steps: [{expect: {alowed: true, allowed: true}}]}]",
        r"cases\.0\.steps\.0\.expect\.alowed: Extra inputs",
    ),
    "no zone": (
        "cases: [{name: x, steps: [{at: 2026-03-02T10:00:00, expect: {allowed: true}}]}]",
        r"cases\.0\.steps\.0\.at: Input should have timezone info",
    ),
    "no yaml": ("cases: [", r"cases\.yaml: while parsing"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_cases_are_named_by_field(anyio_backend, write_plugin, case):
    """A cases file that says nothing, or something else, is refused before anything runs."""
    text, message = WRONG[case]
    path = write_plugin("return PolicyDecision(True, '')", config={})
    (path / "cases.yaml").write_text(text)
    with pytest.raises(PluginError, match=message):
        await cases.run(path)


def test_an_author_runs_cases_from_the_command_line(write_plugin, capsys):
    """Passed is 0; failed is 1 with what differs and what was printed; a broken plugin is 2 with its line."""
    good, bad = (
        folder("plugins") / "rate_limit",
        write_plugin("print('seen')\nreturn PolicyDecision(True, '')", config={}),
    )
    (bad / "cases.yaml").write_text("cases: [{name: wrong, steps: [{expect: {allowed: false}}]}]")
    assert main([str(good)]) == 0
    assert "rate_limit: every principal has a window of its own: ok\n" in capsys.readouterr().out
    assert main([str(good), str(bad)]) == 1
    assert capsys.readouterr().out.endswith(
        "written: wrong: FAILED\n  step 1: expected to be denied, was allowed with ''\n  | seen\n"
    )
    (bad / "plugin.py").write_text("def (:\n")
    assert main([str(bad)]) == 2
    assert "plugin.py:1: syntax error" in capsys.readouterr().err
