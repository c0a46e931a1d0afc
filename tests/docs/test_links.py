"""Whatever a page points at is there: pages, anchors, files, variables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.pages import DOCS, PAGES, ROOT, anchors, code_words, links, name_of

TOP = ("benchmarks/", "docs/", "examples/", "plugins/", "rego/", "sark_opa/", "sql/", "tests/")
INVENTED = {"plugins/large_prompts", "plugins/my_first", "plugins/night_prompts"}
"""Folders a guide tells its reader to make."""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links name a file or folder of the tree, and an anchor one of its headings."""
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(ROOT) or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    """Nobody finds a page that nothing links to; a linked folder counts for the pages in it."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in links(page):
            found = (page.parent / target.partition("#")[0]).resolve()
            waiting += [found] if found.suffix == ".md" else sorted(found.glob("*.md")) if found.is_dir() else []
    assert [name_of(page) for page in DOCS.rglob("*.md") if page not in reached] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_named_exists(page: Path) -> None:
    """A path of the tree in backticks is one."""
    named = {word for word in code_words(page) if word.startswith(TOP) and re.fullmatch(r"[\w./-]+", word)}
    missing = {word for word in named if not (ROOT / word).exists()}
    assert {word for word in missing if not word.startswith(tuple(INVENTED))} == set()


def test_every_variable_named_exists() -> None:
    """A SARK_ variable of a page is read by the code, the bundle, the compose file or the tests."""
    sources = [
        *(ROOT / "sark_opa").rglob("*.py"),
        *(ROOT / "rego").rglob("*.rego"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]
    sources += [*(ROOT / "tests" / "fixtures").glob("*.py"), ROOT / "docker-compose.yml"]
    text = "\n".join(source.read_text() for source in sources)
    known = set(re.findall(r"SARK_[A-Z_]+[A-Z]", text))
    settings = re.findall(r"^    (\w+): ", (ROOT / "sark_opa" / "settings.py").read_text(), re.MULTILINE)
    known |= {f"SARK_{name.upper()}" for name in settings}
    named = {word for page in PAGES for word in re.findall(r"SARK_[A-Z_]+[A-Z]", page.read_text())}
    assert named - known == set()
