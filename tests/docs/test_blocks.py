"""Every fenced example is at least well-formed; other modules here run those that can be run."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from docs.pages import PAGES, Block, blocks

from sark_opa.evaluation.question import Question

ALL = [block for page in PAGES for block in blocks(page)]
UNCHECKED = {"", "text", "promql", "sql"}
"""Drawings, output, and SQL, which `docs.commands` sees to."""


def _of(*languages: str) -> list[Block]:
    return [block for block in ALL if block.language in languages]


def test_no_other_language_is_used() -> None:
    """A block of a language nobody checks is a block that rots."""
    assert {block.language for block in ALL} - UNCHECKED == {"bash", "json", "python", "rego", "sh", "yaml"}


@pytest.mark.parametrize("block", _of("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    """No syntax errors."""
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", _of("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    """And where it is a question, the service would take it."""
    value = json.loads(block.text)
    if "principal" in value:
        Question.model_validate(value)


@pytest.mark.parametrize("block", _of("yaml"), ids=str)
def test_yaml_is_yaml(block: Block) -> None:
    """And holds something."""
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", _of("sh", "bash"), ids=str)
def test_shell_parses(block: Block) -> None:
    """Bash reads it whole."""
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_rego_stands_where_it_is_run() -> None:
    """`test_readme.py` and `tests/opa/test_decision_docs.py` run the policies of these two pages."""
    assert {block.page for block in _of("rego")} == {"README.md", "docs/guides/write-a-policy.md"}
