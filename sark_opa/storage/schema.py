"""What is in the schema `sark`, as a text that every version of PostgreSQL gives, and what is not as it should be.

`sql/schema.sql` is that text for a database of tier `plain`; `python -m sark_opa.local.schema` writes it anew.
Partitions are not in it, since they come and go, nor are the bodies of functions, which are files of their own.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sark_opa import bundled
from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

FILE: Final = "schema.sql"
_HEADER: Final = """\
-- The schema `sark` as the migrations make it on plain PostgreSQL, without partitions and the bodies of functions. It
-- is there to be read, and to be compared by tests and `sark-opa migrate --verify`; the migrations make the schema.
-- Written by `python -m sark_opa.local.schema`: do not edit.
"""
_KINDS: Final = ("domains", "tables", "indexes", "triggers", "views")
_KEY: Final = re.compile(r"create (?:unique |unlogged |materialized )?(\w+) ([\w.\"]+)", re.IGNORECASE)
_TABLE: Final = re.compile(r" ON (sark\.\w+)")
_FUNCTION: Final = re.compile(
    r"create (?:or replace )?function sark\.(?P<name>\w+).*?\$\$(?P<body>.*?)\$\$", re.IGNORECASE | re.DOTALL
)
_POSITION: Final = re.compile(r"POSITION\(\((?P<part>[^()]*)\) IN \((?P<whole>\w+)\)\)")
"""How version 14 and newer write the function `position`."""
_VERSIONED: Final = re.compile(r"create function sark\.\w+_v\d+\(")
_PARTITIONED: Final = ')\npartition by RANGE ("time")'
_LINE_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in the schema that is not as the migrations make it."""

    subject: str
    problem: str
    details: str = ""

    @property
    def about(self) -> str:
        """What is the matter with it."""
        return f"{self.problem}: {self.details}" if self.details else self.problem


async def dump(pool: Pool) -> str:
    """The schema of a database, as text.

    Raises:
        MigrationError: there is none.
        DatabaseUnavailableError: the database does not answer.
    """
    return _HEADER + "".join(f"\n{statement};\n" for statement in await _statements(pool))


async def differences(pool: Pool, tier: str, sql: Path | None = None) -> list[Difference]:
    """What in a database that has every migration is not as they made it: tables, indexes, triggers, views, functions.

    Functions of an older build are left alone, since processes of it may still run.

    Raises:
        MigrationError: there is no schema.
        DatabaseUnavailableError: the database does not answer.
    """
    folder = sql or bundled.folder("sql")
    expected = _keyed(_read(folder / FILE, tier))
    found = _keyed(await _statements(pool))
    lines = [Difference(key, "is missing") for key in expected if key not in found]
    for key, statement in found.items():
        if key not in expected:
            if not _VERSIONED.match(statement):
                lines.append(Difference(key, "is not of this version"))
        elif statement != expected[key]:
            lines.append(Difference(key, "differs", _changed(expected[key], statement)))
    bodies = _bodies(folder)
    statements = queries.load("schema")
    for name, head, body in await pool.rows(statements["functions"]):
        if name in bodies and _digest(body) != bodies[name] and _key(head) in expected:
            lines.append(Difference(_key(head), "differs", "its text was changed in the database"))
    if tier == "plain":
        for partition, trigger in await pool.rows(statements["unguarded_partitions"]):
            lines.append(Difference(f"partition sark.{partition}", "differs", f"its trigger {trigger} is missing"))
    return sorted(lines, key=lambda line: (line.subject, line.about))


async def _statements(pool: Pool) -> list[str]:
    texts = queries.load("schema")
    found: list[str] = []
    for kind in _KINDS:
        found += sorted(_told(kind, text) for (text,) in await pool.rows(texts[kind]))
    heads = [_told("functions", head) for _, head, _ in await pool.rows(texts["functions"])]
    return found + sorted(heads)


def _told(kind: str, text: str) -> str:
    """One statement, with what versions write differently written in one way."""
    if kind == "tables":
        return _POSITION.sub(r'"position"(\g<whole>, \g<part>)', text)
    return "\n".join(
        textwrap.wrap(text, _LINE_MAX, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    )


def _read(file: Path, tier: str) -> list[str]:
    text = file.read_text(encoding="utf-8").replace("\r\n", "\n").removeprefix(_HEADER)
    if tier != "plain":
        text = text.replace(_PARTITIONED, ")")
    return [statement.strip() for statement in re.split(r";\n(?:\n|$)", text) if statement.strip()]


def _keyed(statements: list[str]) -> dict[str, str]:
    return {_key(statement): statement for statement in statements}


def _key(statement: str) -> str:
    match = _KEY.match(statement)
    assert match is not None, statement  # noqa: S101  # every statement begins so
    kind, name = match[1].lower(), match[2]
    if kind == "trigger" and (table := _TABLE.search(" ".join(statement.split()))):
        return f"trigger {name} on {table[1]}"
    return f"{kind} {name}"


def _changed(expected: str, found: str) -> str:
    """The lines that differ."""
    should, has = expected.split("\n"), found.split("\n")
    return "; ".join(
        [f"has `{line.strip()}`" for line in has if line not in should]
        + [f"should have `{line.strip()}`" for line in should if line not in has]
    )


def _bodies(folder: Path) -> dict[str, str]:
    """The digest of each function's text by its name: those of migrations, then those that are replaced as a whole."""
    found: dict[str, str] = {}
    for file in (*sorted((folder / "migrations").glob("*.sql")), *sorted((folder / "functions").glob("*.sql"))):
        text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
        found |= {match["name"]: _digest(match["body"]) for match in _FUNCTION.finditer(text)}
    return found


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
