"""The pages on commands, metrics, settings, codes and benchmarks list what there is, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any, get_args, get_type_hints

import pytest
from docs.command_line import COMMANDS
from docs.pages import ROOT, blocks, codes, read, rows, sections
from fixtures.opa import REGO

from benchmarks.__main__ import PARTS
from sark_opa.cli import commands
from sark_opa.cost import errors as cost_errors
from sark_opa.errors import SarkError
from sark_opa.metrics import Metrics
from sark_opa.sandbox.contract import Status
from sark_opa.settings import Settings
from sark_opa.storage import queries

CLI = "docs/reference/cli.md"
METRICS = "docs/reference/metrics.md"
DECISION = "docs/reference/decision.md"
OPERATE = "docs/guides/operate.md"


def test_cli_lists_exactly_the_commands() -> None:
    """Each command has its section."""
    assert {heading for heading in sections(CLI, "## ") if heading.startswith("sark-opa")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_cli_lists_exactly_the_options(name: str) -> None:
    """With their defaults where there is one."""
    listed = {codes(row[0])[0]: row for row in rows(sections(CLI, "## ")[name])}
    expected = {}
    for parameter in COMMANDS[name].params:
        if parameter.name != "help":
            is_argument = parameter.param_type_name == "argument"
            expected[parameter.name.upper() if is_argument else parameter.opts[0]] = parameter
    assert set(listed) == set(expected)
    for option, parameter in expected.items():
        if len(listed[option]) > 2 and parameter.default not in {None, ""} and option != "--bundle":
            assert str(parameter.default) in listed[option][1].strip("`"), option
        assert ("needed" in listed[option][-1]) == parameter.required, option


@pytest.mark.parametrize(
    ("command", "function", "parameter"),
    [("sark-opa token create", commands.create_token, "role"), ("sark-opa up", commands.up, "unknown_orgs")],
)
def test_cli_names_the_values_an_option_takes(command: str, function: Any, parameter: str) -> None:
    """Where they are a closed set."""
    for choice in get_args(get_type_hints(function)[parameter]):
        assert f"`{choice}`" in sections(CLI, "## ")[command]


@pytest.mark.parametrize("module", ["sark_opa.opa"])
def test_cli_names_the_modules_that_are_commands(module: str) -> None:
    """And each has a help of its own."""
    assert f"python -m {module}" in read(CLI)
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    for command in re.findall(rf"`python -m {re.escape(module)} (\w+)`", read(CLI)):
        assert command in done.stdout or command.isupper()


def test_metrics_lists_exactly_the_metrics() -> None:
    """Name, kind and labels of each."""
    listed = {codes(row[0])[0]: (row[1], codes(row[2])) for row in rows(read(METRICS)) if len(row) == 4}
    expected = {}
    for collector in Metrics()._registry._collector_to_names:
        (family,) = collector.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        expected[name] = (family.type, list(collector._labelnames))
    assert listed == expected


def test_metrics_names_no_other() -> None:
    """Alerts and queries use metrics and labels that exist."""
    known = {codes(row[0])[0] for row in rows(read(METRICS)) if len(row) == 4}
    named = set(re.findall(r"sark_\w+", read(METRICS).replace("sark.principal_budgets", "")))
    assert {re.sub("_bucket$", "", name) for name in named} <= known


def test_settings_is_exactly_the_settings() -> None:
    """In order, each with its default and its help."""
    expected = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in {None, ()} else f"`{field.default}`"
        required = "required" if field.is_required() else default
        expected.append([f"`SARK_{name.upper()}`", required, field.description])
    assert rows(read("docs/reference/settings.md")) == expected


def _reason_codes() -> set[str]:
    return {code for row in rows(sections(DECISION, "## ")["Reason codes"]) for code in codes(row[0])}


def _known_codes() -> set[str]:
    known = {f"plugin_{status}" for status in get_args(Status) if status != "ok"}
    for file in (REGO / "sark").rglob("*.rego"):
        known |= set(re.findall(r'"(policy_\w+|\w+)"', file.read_text()))
    waiting: list[type[SarkError]] = [SarkError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__ in {SarkError.__module__, cost_errors.__name__}:
            known.add(error.code)
    return known


def test_the_decision_lists_only_codes_there_are() -> None:
    """`tests/opa/test_decision_docs.py` holds the other direction."""
    assert len(_reason_codes()) > 25
    assert _reason_codes() - {"policies.<name>"} - _known_codes() == set()
    assert {f"plugin_{status}" for status in get_args(Status) if status != "ok"} <= _reason_codes()


def test_every_code_has_its_remedy() -> None:
    """What a decision can say, the page for operators knows; authors' rules and what is reserved aside."""
    remedies = {code for row in rows(sections(OPERATE, "## ")["Symptoms"]) for code in codes(row[0])}
    assert _reason_codes() - {"policy_denied", "plugin_quarantined"} - remedies == set()
    client = {"opa_unavailable", "decision_malformed"}
    warnings = {"release_failed"}
    details = {f"details.{word}" for word in ("cause", "status_code", "parts", "config")}
    assert remedies - _reason_codes() - client - warnings == details


def test_warnings_are_all_named() -> None:
    """Those the bundle gives stand in the line about warnings."""
    line = re.search(r"^Warnings: (.*?)\n\n", read(DECISION), re.MULTILINE | re.DOTALL)
    assert line is not None
    for code in ("price_default", "budget_warning", "release_failed", "plugin_skipped", "policy_warning"):
        assert f"`{code}`" in line[1]
        assert any(f'"{code}"' in file.read_text() for file in (REGO / "sark").rglob("*.rego")), code


def test_the_ledger_lists_exactly_the_checks() -> None:
    """The names `sark-opa verify` prints."""
    text = sections("docs/explanation/ledger.md", "## ")["What always holds, and how to see it"]
    assert [codes(row[0])[0] for row in rows(text)] == list(queries.load("verify"))


def test_the_ledger_names_every_table() -> None:
    """Tables and views of the migrations; partitions and the list of applied migrations aside."""
    sql = "".join(file.read_text() for file in (ROOT / "sql" / "migrations").glob("*.sql"))
    made = set(re.findall(r"^create (?:table|view) (sark\.\w+)\b(?! partition of)", sql, re.MULTILINE))
    text = sections("docs/explanation/ledger.md", "## ")["What is kept"]
    assert {code for row in rows(text) for code in codes(row[0]) if code.startswith("sark.")} == made


def test_benchmarks_lists_the_parts_and_their_options() -> None:
    """And keeps the place for figures."""
    text = read("docs/reference/benchmarks.md")
    listed = {row[0]: row for row in rows(text) if "python -m benchmarks." in row[1]}
    assert tuple(listed) == PARTS
    for part, row in listed.items():
        source = (ROOT / "benchmarks" / f"{part}.py").read_text()
        options = set(re.findall(r'add_argument\("(--\w+)"(?!.*SUPPRESS)', source))
        assert set(re.findall(r"--\w+", row[2])) == options, part
    assert rows(sections("docs/reference/benchmarks.md", "## ")["Figures"])


def test_the_example_input_is_the_schemas() -> None:
    """Every JSON example of a question uses fields of the input schema."""
    known = set(json.loads((REGO / "schemas" / "input.json").read_text())["properties"])
    for block in blocks(DECISION, "json"):
        value = json.loads(block.text)
        if "principal" in value:
            assert set(value) <= known


def test_every_name_a_policy_may_read_exists() -> None:
    """The table of the guide names rules and functions of the bundle."""
    for row in rows(sections("docs/guides/write-a-policy.md", "## ")["What you can read"]):
        first, *others = codes(row[0])
        package = re.match(r"data\.sark\.(\w+)\.", first)
        assert package is not None
        rego = (REGO / "sark" / package[1] / f"{package[1]}.rego").read_text()
        for name in (first.removeprefix(package[0]), *others):
            rule = re.escape(name.partition("(")[0])
            assert re.search(rf"^(default )?{rule}(\(| :=| if| contains)", rego, re.MULTILINE), name
