"""The pages about policies and decisions, held against the code they describe."""

import json
import re
from pathlib import Path

import pytest
import yaml
from fixtures.opa import REGO, Script, bundle_with, facts, question, running_opa, scripted_service

from sark_opa.opa import commands

DOCS = REGO.parent / "docs"
REFERENCE = (DOCS / "reference" / "decision.md").read_text()
GUIDE = (DOCS / "guides" / "write-a-policy.md").read_text()


def _policies() -> dict[str, str]:
    blocks = re.findall(r"^```rego\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    return {re.search(r"^package policies\.(\w+)$", block, re.MULTILINE)[1]: block for block in blocks}  # type: ignore[index]  # every block has one


def test_every_code_is_documented() -> None:
    """Each code the Rego can give stands in the reference."""
    codes = set()
    for file in (REGO / "sark").rglob("*.rego"):
        if not file.name.endswith("_test.rego"):
            codes |= set(re.findall(r'constructor\.new\("(\w+)"', file.read_text()))
    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in REFERENCE} == set()


def test_every_documented_code_has_a_case() -> None:
    """Nobody can break a code a gateway may rely on without a case noticing."""
    section = REFERENCE[REFERENCE.index("## Reason codes") : REFERENCE.index("## Configuration")]
    table, warnings = section.split("\nWarnings:")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = set(re.findall(r"`(\w+)`", " ".join([*rows, warnings]))) - {"warn_percent"}
    assert len(documented) > 30
    cases = [
        case
        for file in (REGO / "cases").glob("*.yaml")
        for topic, found in yaml.safe_load(file.read_text()).items()
        if topic != "base"
        for case in found.values()
    ]
    given = {code for case in cases for key in ("codes", "warnings") for code in case["expect"].get(key, [])}
    assert documented - given == set()


def test_every_setting_is_documented() -> None:
    """With the default it is shipped with."""
    config = json.loads((REGO / "sark" / "config" / "data.json").read_text())
    service = config.pop("service")
    assert f"`{service['url']}`" in REFERENCE
    for name, value in config.items():
        shown = f"`{value}`" if isinstance(value, str) else str(value)
        assert f"| `{name}` | {shown} |" in REFERENCE


def test_every_input_field_is_documented() -> None:
    """The reference knows the fields of the schema, and no others."""
    schema = json.loads((REGO / "schemas" / "input.json").read_text())
    example = json.loads(re.search(r"```json\n(.*?)```", REFERENCE, re.DOTALL)[1])  # type: ignore[index]  # it has one
    assert set(example) == set(schema["properties"])


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with the guide's policies."""
    return bundle_with(tmp_path_factory.mktemp("guide"), policies=_policies())


@pytest.mark.parametrize("tool", [commands.check_format, commands.check, commands.lint, commands.test])
def test_the_policies_of_the_guide_pass_the_check(opa_binary: Path, documented: Path, tool) -> None:
    """What authors copy is formatted, typed and sound."""
    result = tool(opa_binary, documented)
    assert result.passed, result.output


def test_the_policies_of_the_guide_do_as_it_says(opa_binary: Path, documented: Path, tmp_path: Path) -> None:
    """A real OPA loads them by their place alone."""
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=documented, service_url=url) as opa,
    ):

        def codes(asked: dict) -> list[str]:
            return [reason["code"] for reason in opa.decide(asked)["reasons"]]

        assert codes(question()) == []
        assert codes(question(arguments={"messages": []})) == ["policy_denied"]
        assert codes(question(capability={"id": "embeddings"})) == ["policy_denied"]
        agent = question()
        agent["principal"]["attributes"] = {"kind": "agent"}
        assert codes(agent) == []
        _use_up(script)
        assert codes(agent) == ["policy_denied"]
        _make_dear(script)
        assert codes(question()) == ["person_needed"]
        approved = question()
        approved["principal"]["attributes"] = {"approved_by": "user-1"}
        assert codes(approved) == []


def _use_up(script: Script) -> None:
    body = facts()
    body["budget"]["accounts"][1]["percent_used"] = 92
    script.facts(body)


def _make_dear(script: Script) -> None:
    body = facts()
    body["estimate"] |= {"expected_usd": 0.6, "upper_bound_usd": 0.9}
    script.facts(body)
