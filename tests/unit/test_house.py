"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted((ROOT / "sark_opa").rglob("*.py")) + sorted((ROOT / "plugins").rglob("*.py"))
MODULES = PRODUCT + sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))
LINES_MAX = 300
FUNCTION_LINES_MAX = 70
EDGES = {
    "sark_opa/api/edge.py",  # an HTTP request
    "sark_opa/background.py",  # a background job
    "sark_opa/sandbox/guest/worker.py",  # a plugin's code
    "sark_opa/sandbox/guest/zygote.py",  # a forked child
    "sark_opa/sandbox/in_process.py",  # an operator's object
}
ROOMS = {
    "api", "app", "budget", "cli", "client", "cost", "demo", "evaluation", "federation", "kit", "local", "opa",
    "reports", "sandbox", "storage",
}  # fmt: skip
TOP_LEVEL = {
    "pyproject.toml", "sark_opa", "rego", "plugins", "sql", "tests", "opa-config.yaml", "docker-compose.yml",
    "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs", "benchmarks", "examples",
    "Dockerfile",
}  # fmt: skip


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_fits_on_a_few_screens(path: Path) -> None:
    """No module is longer than 300 lines, no function longer than 70."""
    assert len(path.read_text().splitlines()) <= LINES_MAX
    long = {
        f.name: f.end_lineno - f.lineno for f in _functions(path) if (f.end_lineno or 0) - f.lineno > FUNCTION_LINES_MAX
    }
    assert long == {}


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_errors_are_swallowed_nowhere(path: Path) -> None:
    """`except Exception`, `except BaseException` and a bare `except` stand only at a process edge."""
    broad = [
        handler.lineno
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler)
        and (
            handler.type is None
            or (isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"})
        )
    ]
    assert broad == [] or _name(path) in EDGES


def test_rooms_are_the_ones_the_architecture_names() -> None:
    """Every folder of the package is a room of docs/explanation/architecture.md, and the other way round."""
    rooms = {path.name for path in (ROOT / "sark_opa").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms == ROOMS
    page = (ROOT / "docs/explanation/architecture.md").read_text()
    assert [room for room in sorted(ROOMS) if f"`{room}/`" not in page] == []


def test_top_level_holds_nothing_else() -> None:
    """The top level is what was agreed on; dotfiles and what git ignores aside."""
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - {"build", "dist"}
    assert present == TOP_LEVEL


def test_no_drawer_for_odds_and_ends() -> None:
    """No module is called after nothing in particular."""
    assert [_name(path) for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "misc"}] == []
