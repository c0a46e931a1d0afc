"""The README does what it says, on a real stack."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.pages import ROOT, blocks
from docs.shell import Shell, comparable, parsed
from fixtures.opa import bundle_with, facts, question, running_opa, scripted_service
from fixtures.stack import LiveStack

from sark_opa.opa import commands

POLICY = blocks("README.md", "rego")[0].text


def test_try_it(stack: LiveStack, tmp_path: Path) -> None:
    """The first call is allowed and held; with too little left the second is denied, and says what would fit."""
    examples = [block for block in blocks("README.md", "sh") if "curl" in block.text]
    first, second = Shell(stack, tmp_path).run(examples)
    allowed = parsed(first)[0]["result"]
    assert (allowed["allow"], allowed["reasons"]) == (True, [])
    assert allowed["hold"]["amount_usd"] > 0
    settings, answer = parsed(second)
    assert settings["daily_limit_usd"] == 0.0135
    denied = answer["result"]
    assert [reason["code"] for reason in denied["reasons"]] == ["budget_exceeded"]
    assert denied["reasons"][0]["details"]["fits"]["max_tokens"] > 0
    assert denied["hold"] is None


def test_getting_started_begins_the_same_way(stack: LiveStack, tmp_path: Path) -> None:
    """Its question is allowed too."""
    (printed,) = Shell(stack, tmp_path).run(blocks("docs/guides/getting-started.md", "sh"))
    assert parsed(printed)[0]["result"]["allow"]


def test_the_decision_shown_is_the_one_given(stack: LiveStack, tmp_path: Path) -> None:
    """The refusal of the README, figure by figure, to its own example question."""
    shell = Shell(stack, tmp_path)
    (shown,) = parsed(shell.translated(blocks("README.md", "json")[0].text))
    stack.put_account(shell.org, unknown_principals="create")
    stack.put_account(f"{shell.org}/team/ml", daily_limit_usd=0.006)
    (example,) = parsed((tmp_path / "examples" / "question.json").read_text())
    given = comparable(stack.decide(example["input"]))
    for key, value in comparable(shown).items():
        assert given[key] == value


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with the README's policy."""
    return bundle_with(tmp_path_factory.mktemp("readme"), policies={"night_shift": POLICY})


@pytest.mark.parametrize("tool", [commands.check_format, commands.check, commands.lint])
def test_the_policy_passes_the_check(opa_binary: Path, bundle: Path, tool) -> None:
    """Formatted, compiled strictly with the bundle and its types, linted."""
    result = tool(opa_binary, bundle)
    assert result.passed, result.output


def test_the_policy_does_as_it_reads(opa_binary: Path, bundle: Path, tmp_path: Path) -> None:
    """Dear calls are denied to all; a nearly spent month to all but the team on call."""
    with scripted_service() as (script, url), running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa:

        def codes(team: str | None, *, bound: float, left: float) -> list[str]:
            body = facts()
            body["estimate"] |= {"expected_usd": 0.1, "upper_bound_usd": bound}
            for account in body["budget"]["accounts"]:
                if (account["kind"], account["window"]) == ("org", "month"):
                    account |= {"limit_usd": 100, "remaining_usd": left}
            script.facts(body)
            asked = question()
            asked["principal"]["team"] = team
            return [reason["code"] for reason in opa.decide(asked)["reasons"]]

        assert codes("ml", bound=0.5, left=50) == []
        assert codes("ml", bound=1.5, left=50) == ["policy_denied"]
        assert codes("ml", bound=0.5, left=4) == ["month_nearly_spent"]
        assert codes(None, bound=0.5, left=4) == ["month_nearly_spent"]
        assert codes("oncall", bound=0.5, left=4) == []


def test_make_has_the_targets_named() -> None:
    """`make demo` and `make up` are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "up"):
        assert f"\n{target}: " in makefile
