"""docs/reference/http-api.md against the application it describes, and its examples against a live one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docs.pages import PAGES, blocks, code_words, codes, name_of, read, rows, sections
from docs.shell import Shell, comparable, parsed
from fixtures.stack import LiveStack

from sark_opa.api import application, body
from sark_opa.cost import errors as cost_errors
from sark_opa.errors import SarkError
from sark_opa.evaluation import facts, hold_bodies
from sark_opa.evaluation.plugin_answers import PluginAnswer
from sark_opa.evaluation.question import Question
from sark_opa.evaluation.spooling import SpooledAnswer
from sark_opa.storage.audit import AuditAnswer, Recorded

PAGE = "docs/reference/http-api.md"
ROUTES = {heading: text for heading, text in sections(PAGE, "### ").items() if " /" in heading}
ELSEWHERE = {"configuration", "opa", "refused", "unreachable"}
"""Codes of the command line and of the client."""


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The OpenAPI document."""
    return application.routed(SimpleNamespace()).openapi()


def test_it_lists_exactly_the_routes(described: dict[str, Any]) -> None:
    """Each route of the OpenAPI document has its section, and no section is without one."""
    paths = described["paths"].items()
    assert set(ROUTES) == {f"{method.upper()} {path}" for path, methods in paths for method in methods}


def test_no_page_names_a_route_there_is_not(described: dict[str, Any]) -> None:
    """But for OPA's own, and the document's."""
    routes = [
        re.compile(re.sub(r"\\\{[^}]*\\\}", ".+", re.escape(f"{method.upper()} {path}")))
        for path, methods in described["paths"].items()
        for method in methods
    ]
    named = {
        (name_of(page), route)
        for page in PAGES
        for words in code_words(page)
        for route in re.findall(r"\b(?:GET|PUT|POST|DELETE) /[^\s?`]*", words)
        if "/v1/data/sark/" not in route and not route.endswith("/openapi.json")
    }
    assert [each for each in named if not any(route.fullmatch(each[1]) for route in routes)] == []
    assert len(named) > 40


def _body_of(described: dict[str, Any], route: dict[str, Any]) -> dict[str, Any]:
    content = route.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return {}
    reference = content["application/json"]["schema"]["$ref"]
    schema: dict[str, Any] = described["components"]["schemas"][reference.rpartition("/")[2]]
    return schema


def test_it_lists_exactly_the_fields_of_each_body(described: dict[str, Any]) -> None:
    """The tables of a section, and those of a question where it refers to one, name every field of the body."""
    question = {name for row in rows(sections(PAGE, "## ")["A question"]) for name in codes(row[0])}
    assert question == set(Question.model_fields)
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            schema = _body_of(described, route)
            text = ROUTES[f"{method.upper()} {path}"]
            tables = [row for row in rows(text) if len(row) > 2]
            named = {name for row in tables for name in codes(row[0])}
            if "The body is [a question]" in text or any("[a question]" in row[0] for row in tables):
                named |= question
            assert named == set(schema.get("properties", {})), path


def _roles() -> dict[str, set[str]]:
    granted = {}
    for router in application.ROUTERS:
        for route in router.routes:
            wanted = {
                role
                for dependency in route.dependencies
                for cell in dependency.dependency.__closure__
                if isinstance(cell.cell_contents, frozenset)
                for role in cell.cell_contents
            }
            path = route.path.replace(":path", "")
            granted |= {f"{method} {path}": wanted for method in route.methods}
    return granted


def test_it_tells_the_role_of_each_route() -> None:
    """The line under a heading, and the table of roles, are what the code asks for."""
    for heading, wanted in _roles().items():
        first = ROUTES[heading].strip().splitlines()[0]
        told = set(codes(re.match(r"Roles? ([^.]*)\.", first)[1])) if first.startswith("Role") else set()  # type: ignore[index]  # the house's form
        assert told == wanted, heading
        assert wanted or first.startswith("No token."), heading


def _codes() -> dict[str, int]:
    known: dict[str, int] = {"not_found": 404, "method_not_allowed": 405}
    waiting: list[type[SarkError]] = [SarkError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__ in {SarkError.__module__, body.__name__, cost_errors.__name__}:
            known[error.code] = error.status
    return {code: status for code, status in known.items() if code not in ELSEWHERE}


def test_it_lists_exactly_the_problem_codes() -> None:
    """With their statuses; a code a section names is one of them."""
    table = {codes(row[0])[0]: int(row[1]) for row in rows(sections(PAGE, "## ")["Problems"])}
    assert table == _codes()
    for heading, text in ROUTES.items():
        for line in re.findall(r"^Problems: (.*)$", text, re.MULTILINE):
            assert set(codes(line)) <= set(table), heading


@pytest.mark.parametrize(
    "answer",
    [
        facts.Facts, facts.BudgetFact, facts.BlockedFact, facts.HoldFact, facts.VerdictFact, facts.Fault,
        facts.AccountFact, facts.EstimateFact, hold_bodies.HoldAnswer, hold_bodies.ChargeAnswer, SpooledAnswer,
        PluginAnswer, AuditAnswer, Recorded,
    ],
    ids=lambda kind: kind.__name__,
)  # fmt: skip
def test_every_field_of_an_answer_is_named(answer: Any) -> None:
    """In a table, a sentence, or an example."""
    names = getattr(answer, "__struct_fields__", None) or answer.__dataclass_fields__
    assert [name for name in names if not re.search(rf"[`\"]{name}[`\"]", read(PAGE))] == []


def test_the_limits_are_those_of_the_schema(described: dict[str, Any]) -> None:
    """Lengths and sizes of the table."""
    schema = json.dumps(described["components"]["schemas"])
    table = {row[0]: row[1] for row in rows(sections(PAGE, "## ")["Bodies"])}
    assert '"maxLength": 128' in schema
    assert "1 to 128 characters" in table["`request_id`"]
    assert '"maxLength": 256' in schema
    assert "1 to 256 characters" in table["other ids"]
    assert '"maximum": 1000000000' in schema
    assert table["`input_tokens`, `output_tokens`"] == "10⁹"


def test_the_problem_shown_is_the_one_given(stack: LiveStack) -> None:
    """The example of a problem, from a question without a principal's id."""
    (shown,) = parsed(blocks(PAGE, "json")[0].text)
    asked = {"principal": {"org": "acme"}, "resource": {"id": "openai"}, "capability": {"id": "embeddings"}}
    answer = stack.api("POST", "/v1/facts", asked)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == shown


def test_the_examples_run_and_answer_what_is_shown(stack: LiveStack, tmp_path: Path) -> None:
    """Every curl command in order; where an answer is printed below, it is that answer."""
    shell = Shell(stack, tmp_path)
    examples = blocks(PAGE)
    commands = [block for block in examples if block.language == "sh"]
    printed = shell.run(commands)
    answered = 0
    for command, output in zip(commands, printed, strict=True):
        if command.text.startswith("curl -s $SERVICE/metrics"):
            assert "sark_request_seconds_bucket" in output
            continue
        if " -X DELETE " in command.text or " -o " in command.text:
            assert output == ""
            continue
        (answer,) = parsed(output)
        assert "code" not in answer, (str(command), output)
        following = examples[examples.index(command) + 1 :][:1]
        if following and following[0].language == "json":
            (shown,) = parsed(shell.translated(following[0].text))
            assert comparable(answer) == comparable(shown), str(command)
            answered += 1
    assert answered >= 6
