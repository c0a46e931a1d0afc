"""OPA's own tools over the bundle, and that they find what they are there for."""

import itertools
import json
import re
from pathlib import Path

import pytest
from fixtures.opa import REGO, bundle_with, facts, question

from sark_opa.opa import commands
from sark_opa.opa.binary import version_of


@pytest.fixture
def recent_opa(opa_binary: Path) -> Path:
    """An OPA with all the checks the pinned one has; older ones run the bundle but find less."""
    if version_of(opa_binary) < (1, 17):
        pytest.skip("needs OPA 1.17")
    return opa_binary


@pytest.mark.parametrize("tool", [commands.check_format, commands.check, commands.lint, commands.test])
def test_the_bundle_passes(opa_binary: Path, tool) -> None:
    """Format, strict types with schemas, lint, and every Rego test and decision case."""
    result = tool(opa_binary, REGO)
    assert result.passed, result.output


def test_check_finds_a_misspelt_fact(recent_opa: Path, tmp_path: Path) -> None:
    """The facts are typed by their schema, so an author's typo is an error, not a rule that never fires."""
    bundle = bundle_with(
        tmp_path,
        policies={
            "mine": "package policies.mine\nimport data.sark.facts\n"
            'deny contains "no" if facts.known.budget.statsu == "warning"\n'
        },
    )
    result = commands.check(recent_opa, bundle)
    assert not result.passed
    assert "statsu" in result.output


def test_check_finds_a_misspelt_input(opa_binary: Path, tmp_path: Path) -> None:
    """A policy that names the input schema is checked against it."""
    bundle = bundle_with(
        tmp_path,
        policies={
            "mine": "# METADATA\n# scope: package\n# schemas:\n#   - input: schema.input\npackage policies.mine\n"
            'deny contains "no" if input.principal.tem == "ml"\n'
        },
    )
    result = commands.check(opa_binary, bundle)
    assert not result.passed
    assert "tem" in result.output


def test_check_finds_facts_in_an_early_denial(opa_binary: Path, tmp_path: Path) -> None:
    """Facts are not there yet when `deny_early` is asked; the compiler sees the circle."""
    bundle = bundle_with(
        tmp_path,
        policies={
            "mine": 'package policies.mine\nimport data.sark.cost\ndeny_early contains "no" if cost.expected_usd > 1\n'
        },
    )
    result = commands.check(opa_binary, bundle)
    assert not result.passed
    assert "recursi" in result.output


@pytest.mark.parametrize(
    ("policy", "finding"),
    [
        ('package policies.mine.deeper\ndeny contains "no"\n', "is not asked"),
        ('package policy.mine\ndeny contains "no"\n', "is not asked"),
        ('package policies.mine\ndeny contains "no" if not startswith(input.action, "a")\n', "never true"),
        ('package policies.mine\ndeny contains "no" if not input.action in {"a"}\n', "never true"),
        ('package policies.mine\ndeny contains "no" if not lower(input.action) == "a"\n', "never true"),
    ],
)
def test_lint_finds_what_would_never_deny(opa_binary: Path, tmp_path: Path, policy: str, finding: str) -> None:
    """OPA accepts these, and none of them would ever deny a call without the field."""
    result = commands.lint(opa_binary, bundle_with(tmp_path, policies={"mine": policy}))
    assert not result.passed
    assert finding in result.output


@pytest.mark.parametrize(
    "policy",
    [
        'package policies.mine\ndeny contains "no" if not input.action == "a"\n',
        'package policies.mine\ndeny contains "no" if not input.environment.ip\n',
        'package policies.mine\ndeny contains "no" if not ok\nok if startswith(input.action, "a")\n',
        'package policies.mine\nimport future.keywords.not\ndeny contains "no" if not startswith(input.action, "a")\n',
        'package policies.mine\ndeny contains "no" if {\n\tx := input.action\n\tnot startswith(x, "a")\n}\n',
    ],
)
def test_lint_lets_sound_negation_pass(recent_opa: Path, tmp_path: Path, policy: str) -> None:
    """What is defined, or is a rule of its own, may be negated."""
    result = commands.lint(recent_opa, bundle_with(tmp_path, policies={"mine": policy}))
    assert result.passed, result.output


def test_test_fails_with_a_wrong_case(opa_binary: Path, tmp_path: Path) -> None:
    """A case that does not hold fails the run and is named."""
    bundle = bundle_with(tmp_path)
    cases = bundle / "cases" / "plugins.yaml"
    cases.write_text(cases.read_text().replace("codes: [plugin_crashed]", "codes: [plugin_timeout]"))
    result = commands.test(opa_binary, bundle)
    assert not result.passed
    assert "a plugin crashes: FAIL" in result.output


def test_bench_reports_figures(opa_binary: Path, tmp_path: Path) -> None:
    """One decision without its network call can be measured."""
    (tmp_path / "question.json").write_text(json.dumps(question()))
    (tmp_path / "facts.json").write_text(json.dumps({"response": {"status_code": 200, "body": facts()}}))
    result = commands.bench(opa_binary, REGO, tmp_path / "question.json", tmp_path / "facts.json")
    assert result.passed, result.output
    assert json.loads(result.output)["N"] > 0


RULES = [file for file in sorted(REGO.rglob("*.rego")) if not file.name.endswith("_test.rego")]


@pytest.mark.parametrize("file", RULES, ids=lambda file: str(file.relative_to(REGO)))
def test_rego_keeps_the_house_rules(file: Path) -> None:
    """Directory is package, a test beside each file, metadata on package and public rules, short lines and files."""
    text = file.read_text()
    lines = text.splitlines()
    package = ".".join(file.parent.relative_to(REGO).parts)
    assert f"\npackage {package}\n" in text
    assert file.with_name(file.stem + "_test.rego").exists()
    assert len(lines) <= 300
    assert [line for line in lines if len(line) > 120] == []
    assert lines[0] == "# METADATA"
    described = set()
    for above, line in itertools.pairwise(["", *lines]):
        rule = re.match(r"(?!package|import)([a-z]\w*)", line.removeprefix("default "))
        if rule and above.startswith("#"):
            described.add(rule[1])
        assert rule is None or rule[1] in described, line


def test_http_is_sent_from_one_place() -> None:
    """So its options, which took measuring, are written once."""
    assert sum(len(re.findall(r"\bhttp\.send\(", file.read_text())) for file in RULES) == 1
