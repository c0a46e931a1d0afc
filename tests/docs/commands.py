"""Every example of the pages that can be run is run by a test: whose, and what cannot be run here.

A module that is named in `RUN_BY` fails at its end when its tests have passed and left out an example of its pages.
What they ran they have taken from `Block.typed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from docs.pages import ROOT, TYPED, Block, blocks

LANGUAGES: Final = ("bash", "python", "sh", "sql")
RUN_BY: Final = {
    "README.md": "tests/docs/test_readme.py",
    "docs/explanation/estimates.md": "tests/unit/cost/test_cost_docs.py",
    "docs/guides/cells.md": "tests/docs/test_cells.py",
    "docs/guides/embed-estimates.md": "tests/docs/test_library_examples.py",
    "docs/guides/export-charges.md": "tests/docs/test_export_charges.py",
    "docs/guides/import-charges.md": "tests/docs/test_import_charges.py",
    "docs/guides/federate.md": "tests/federation/test_guide.py",
    "docs/guides/finops.md": "tests/acceptance/test_cost_reports.py",
    "docs/guides/getting-started.md": "tests/docs/test_readme.py",
    "docs/guides/integrate-a-gateway.md": "tests/docs/test_library_examples.py",
    "docs/guides/operate-the-database.md": "tests/docs/test_operate_database.py",
    "docs/guides/operate.md": "tests/docs/test_operate.py",
    "docs/guides/re-rate.md": "tests/docs/test_re_rate.py",
    "docs/guides/set-budgets.md": "tests/docs/test_set_budgets.py",
    "docs/guides/troubleshoot-plugins.md": "tests/docs/test_troubleshoot_plugins.py",
    "docs/guides/write-a-plugin.md": "tests/sandbox/test_plugin_pages.py",
    "docs/reference/http-api.md": "tests/docs/test_http_api.py",
    "plugins/business_hours/README.md": "tests/docs/test_plugin_examples.py",
    "plugins/cost_aware/README.md": "tests/docs/test_plugin_examples.py",
    "plugins/rate_limit/README.md": "tests/docs/test_plugin_examples.py",
}
"""Which test module runs the examples of which page."""
NOT_HERE: Final = {
    ("README.md", "make demo "): "it sets up a virtual environment; test_wheel.py runs the demo, test_up.py the stack",
    ("docs/guides/troubleshoot-plugins.md", "apparmor_parser"): "it changes the machine, as root",
    ("docs/guides/operate-the-database.md", "timescaledb_pre_restore"): "without TimescaleDB; else it is run",
    ("docs/guides/operate-the-database.md", "migrate --tier tsl"): "without TimescaleDB; else it is run",
}
"""Page and some words of an example that need not be run, and why."""

_chosen = pytest.StashKey[bool]()


def examples(page: str) -> list[Block]:
    """The examples of a page that can be run."""
    return [block for block in blocks(page) if block.language in LANGUAGES]


def excused(block: Block) -> bool:
    """Whether an example need not be run."""
    return any(block.page == page and words in block.text for page, words in NOT_HERE)


def left_out(module: str) -> list[str]:
    """The examples of a module's pages that nobody in this process has run."""
    mine = [block for page, by in RUN_BY.items() if by == module for block in examples(page)]
    return [str(block) for block in mine if (block.page, block.text) not in TYPED and not excused(block)]


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Where only some tests run, some examples do not."""
    for item in items:
        item.config.stash[_chosen] = True


@pytest.fixture(scope="module", autouse=True)
def _every_example_is_run(request: pytest.FixtureRequest) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    some = request.config.stash.get(_chosen, default=False) or any("::" in each for each in request.config.args)
    if not some and request.session.testsfailed == failed:
        assert left_out(request.path.relative_to(ROOT).as_posix()) == []
