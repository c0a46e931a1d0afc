"""OPA's own tools over the bundle directory: check, test, format, lint, measure."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sark_opa.errors import OpaError

_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a tool ended; `output` is what it printed, on either stream."""

    name: str
    passed: bool
    output: str


def check(binary: Path, rego: Path) -> Result:
    """Compile everything strictly, with the types of the JSON Schemas."""
    return _run("opa check", binary, "check", "--strict", "--bundle", f"--schema={rego / 'schemas'}", str(rego))


def check_format(binary: Path, rego: Path) -> Result:
    """Fail, with a diff, where `opa fmt` would change a file."""
    return _run("opa fmt", binary, "fmt", "--diff", "--fail", str(rego))


def test(binary: Path, rego: Path) -> Result:
    """Run every `_test.rego` and every decision case."""
    return _run("opa test", binary, "test", "--timeout=60s", *_with_cases(rego))


def lint(binary: Path, rego: Path) -> Result:
    """Find in authors' policies what OPA accepts and yet would never deny.

    - A package that is not `policies.<name>` is not asked: `policies.a.b` would silently say nothing.
    - `not f(input.x)` is undefined, so never true, where `input.x` is missing, unless the file imports
      `future.keywords.not` (OPA 1.17 and newer) or what follows `not` is a rule of its own.
    """
    faults: list[str] = []
    for file in sorted((rego / "policies").rglob("*.rego")):
        parsed = json.loads(_output(binary, "parse", "--format=json", str(file)))
        package = [part["value"] for part in parsed["package"]["path"][1:]]
        if len(package) != 2 or package[0] != "policies":  # noqa: PLR2004  # policies and a name
            faults.append(f"{file}: package {'.'.join(package)} is not asked; name it policies.<name>")
        imports = [[part["value"] for part in entry["path"]["value"]] for entry in parsed.get("imports", [])]
        if ["future", "keywords", "not"] not in imports and not file.name.endswith("_test.rego"):
            faults += [
                f"{file}: `not` over a call is never true where an operand is missing; "
                f"import future.keywords.not, or name the condition in a rule (rule {name})"
                for name in _negating_calls(parsed)
            ]
    return Result("sark lint", not faults, "\n".join(faults))


def bench(binary: Path, rego: Path, question: Path, facts: Path, *, count: int = 1) -> Result:
    """Measure one decision without its network call.

    Args:
        binary: as `find_or_fetch` found it.
        rego: the bundle directory.
        question: JSON file with the input.
        facts: JSON file `{"response": …}` that stands for what `http.send` returns.
        count: how often to measure.
    """
    query = "data.sark.authz.decision with http.send as data.bench.response"
    data = [f"--data={part}" for part in (*_parts(rego), f"bench:{facts}")]
    return _run("opa bench", binary, "bench", *data, f"--input={question}", f"--count={count}", "--format=json", query)


def _parts(rego: Path) -> list[str]:
    return [f"{name}:{rego / name}" for name in ("sark", "policies", "system")]


def _with_cases(rego: Path) -> list[str]:
    # Not as a bundle: of a bundle OPA loads no data but data.json and data.yaml, and the cases are many files.
    return [*_parts(rego), f"cases:{rego / 'cases'}"]


def _negating_calls(parsed: dict[str, object]) -> list[str]:
    found: list[str] = []

    def walk(node: object, rule: str) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, rule)
        elif isinstance(node, dict):
            if node.get("negated") and isinstance(node.get("terms"), list) and _may_be_undefined(node["terms"]):
                found.append(rule)
            for value in node.values():
                walk(value, rule)

    rules = parsed.get("rules", [])
    assert isinstance(rules, list)  # noqa: S101  # OPA's AST
    for rule in rules:
        walk(rule, str(rule["head"].get("name") or rule["head"]["ref"][0]["value"]))
    return found


def _may_be_undefined(terms: list[dict[str, object]]) -> bool:
    operator = terms[0].get("value")
    is_equality = isinstance(operator, list) and [part.get("value") for part in operator] == ["equal"]
    # OPA evaluates operands before the `not`, except the two of `==`; variables are bound already.
    hazards = {"call"} if is_equality else {"call", "ref"}
    return any(_has_type(term, hazards) for term in terms[1:])


def _has_type(node: object, types: set[str]) -> bool:
    if isinstance(node, list):
        return any(_has_type(item, types) for item in node)
    return isinstance(node, dict) and (node.get("type") in types or _has_type(node.get("value"), types))


def _output(binary: Path, *arguments: str) -> str:
    result = _run("opa " + arguments[0], binary, *arguments)
    if not result.passed:
        raise OpaError(f"{result.name}: {result.output}")
    return result.output


def _run(name: str, binary: Path, *arguments: str) -> Result:
    try:
        done = subprocess.run(  # noqa: S603  # fixed subcommands of the binary the operator chose
            [binary, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise OpaError(f"{name} does not run: {error}") from error
    return Result(name, done.returncode == 0, done.stdout.strip())
