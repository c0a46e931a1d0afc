"""The command line as the pages speak of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from docs.pages import blocks, code_words

from sark_opa.cli import commands

_CONTINUED = re.compile(r"\\\n\s*")
_SUBSHELL = re.compile(r"\$\([^)]*\)")
_CALL = re.compile(r"(?<![\w/-])sark-opa (?=[a-z-])[^|;&<>)…\n]*")
_NO_CALL = "sark-opa plugin archive, format 1"
"""What a signature is over."""


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    below = {}
    if hasattr(command, "list_commands"):
        below = {each: command.get_command(None, each) for each in command.list_commands(None)}
    if not below:
        yield name, command
    for child, inner in below.items():
        yield from _commands(inner, f"{name} {child}")


COMMANDS = dict(_commands(typer.main.get_command(commands.app), "sark-opa"))
"""Every command by what is typed."""
GROUPS = {name.rsplit(" ", 1)[0] for name in COMMANDS}
"""What stands before them."""


def calls(page: Path) -> Iterator[list[str]]:
    """The words of each call a page shows, in an example or in a sentence."""
    texts = [_CONTINUED.sub(" ", block.text) for block in blocks(page) if block.language in {"sh", "bash"}]
    for text in [*texts, *code_words(page)]:
        for found in _CALL.finditer(_SUBSHELL.sub("", text)):
            if found[0] != _NO_CALL:
                yield shlex.split(found[0].replace("'", " ").replace('"', " "), comments=True)


def faults(words: list[str]) -> list[str]:
    """What of a call there is not."""
    depth = next((depth for depth in (3, 2) if " ".join(words[:depth]) in COMMANDS), None)
    if depth is None:
        return [] if " ".join(words) in GROUPS else [" ".join(words)]
    known = {
        option for each in COMMANDS[" ".join(words[:depth])].params for option in (*each.opts, *each.secondary_opts)
    }
    given = [word.partition("=")[0] for word in words[depth:] if re.match(r"--?[a-z]", word)]
    return [f"{' '.join(words[:depth])} {option}" for option in given if option not in {*known, "--help"}]
