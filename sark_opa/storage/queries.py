"""The named SQL of `sql/queries`: all SQL that Python sends, as literals, so that no text is ever put into it."""

from __future__ import annotations

import re
from typing import Final, LiteralString, cast

from sark_opa import bundled

_NAMED: Final = re.compile(
    r"^-- name: (?P<name>\w+)\n-- (?P<description>.+)\n(?P<sql>(?:(?!^-- name: ).*\n?)+)", re.MULTILINE
)


def load(file: str) -> dict[str, LiteralString]:
    """The queries of `sql/queries/{file}.sql` by name.

    A query begins with `-- name: <name>`, then a line that describes it. What stands before the first one is a remark.

    Raises:
        ValueError: a name is given twice, or text that is no query stands between or after them.
    """
    text = (bundled.folder("sql") / "queries" / f"{file}.sql").read_text(encoding="utf-8").replace("\r\n", "\n")
    return parse(text, f"sql/queries/{file}.sql")


def parse(text: str, file: str) -> dict[str, LiteralString]:
    """The queries in a text by name, as `load` reads them from `file`.

    Raises:
        ValueError: as `load` does.
    """
    queries: dict[str, LiteralString] = {}
    read_to = 0
    for match in _NAMED.finditer(text):
        if match["name"] in queries or (queries and text[read_to : match.start()].strip()):
            raise ValueError(f"{file}: {match['name']} is there twice, or stands after SQL without a name")
        # A file of this package, read whole: as constant as a literal in the source.
        queries[match["name"]] = cast("LiteralString", match["sql"].strip().rstrip(";"))
        read_to = match.end()
    if queries and text[read_to:].strip():
        raise ValueError(f"{file}: what follows the last query is none, as it has no description")
    return queries
