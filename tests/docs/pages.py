"""The pages as the tests of this folder read them: links, headings, fenced examples, tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted(DOCS.rglob("*.md")) + sorted((ROOT / "plugins").glob("*/README.md"))

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
TYPED: set[tuple[str, str]] = set()
"""The examples that were run in this process: page and text."""


@dataclass(frozen=True)
class Block:
    """A fenced example."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def typed(self) -> str:
        """The text, for whoever runs it now; `docs.commands` sees to it that somebody does."""
        TYPED.add((self.page, self.text))
        return self.text


def name_of(page: Path) -> str:
    """The page's path in the tree."""
    return page.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    """The text of a page, by its path in the tree."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: Path | str, language: str | None = None) -> list[Block]:
    """The fenced examples of a page, in order."""
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    return [
        Block(name_of(path), text[: found.start()].count("\n") + 1, found["language"], textwrap.dedent(found["text"]))
        for found in _FENCE.finditer(text)
        if language is None or found["language"] == language
    ]


def prose(page: Path) -> str:
    """A page without its fenced examples."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Targets of all links within the tree."""
    targets = (found["target"] for found in _LINK.finditer(_CODE.sub("", prose(page))))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def code_words(page: Path) -> Iterator[str]:
    """What stands between single backticks."""
    return (found[1] for found in _CODE.finditer(prose(page)))


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives the headings of a page."""
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
    return {slug if not number else f"{slug}-{number}" for slug, last in seen.items() for number in range(last + 1)}


def sections(name: str, mark: str) -> dict[str, str]:
    """The sections of a page whose headings begin with `mark` (such as `## `), by heading without backticks."""
    parts = re.split(rf"^{re.escape(mark)}(.+)$", read(name), flags=re.MULTILINE)
    ends = re.compile(rf"^#{{1,{len(mark.strip())}}} ", re.MULTILINE)
    return {
        heading.replace("`", ""): ends.split(body)[0] for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def rows(text: str) -> list[list[str]]:
    """The cells of every table's rows, heads and rulers left out."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and not re.match(r"\| -", line) and not re.match(r"\| -", following):
            found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return found


def codes(cell: str) -> list[str]:
    """The words in backticks of a cell."""
    return _CODE.findall(cell)
