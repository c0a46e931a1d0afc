"""Doing the same in every database of a service."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from rich.text import Text

from sark_opa.cli import console
from sark_opa.cli.cells import databases
from sark_opa.errors import SarkError


def everywhere(
    database_url: str | None,
    cells_file: Path | None,
    work: Callable[[str], Awaitable[int | None]],
    *,
    json: bool = False,
) -> int:
    """Do some work in each database; the highest of its answers.

    Where there are several, a heading names each, JSON is one object with a member for each, and one that does not
    answer is told and counts as 1: the others are worked on all the same.

    Raises:
        SarkError: what the work raises where there is one database.
    """
    found = databases(database_url, cells_file)
    if len(found) == 1:
        return asyncio.run(_done(work, found[0][1]))
    worst = 0
    told: dict[str, msgspec.Raw] = {}
    for name, url in found:
        if not json:
            console.print(Text(name, "bold"), highlight=False)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed) if json else contextlib.nullcontext():
                worst = max(worst, asyncio.run(_done(work, url)))
            told[name] = msgspec.Raw(printed.getvalue().encode())
        except SarkError as error:
            worst = max(worst, 1)
            told[name] = msgspec.Raw(msgspec.json.encode({"code": error.code, "error": error.message}))
            if not json:
                console.print(Text.assemble((error.code, "red"), f" {error.message}"), soft_wrap=True)
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
    return worst


async def _done(work: Callable[[str], Awaitable[int | None]], url: str) -> int:
    return await work(url) or 0
