"""Running the shell examples of a page against a live stack, in order, in one shell."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docs.pages import ROOT, Block
from fixtures.stack import LiveStack

from sark_opa.local.postgres import binaries

_END = "==== end of example ===="
_serial = itertools.count()
VARYING = {"id", "created_at", "expires_at", "charged_at", "resets_at", "starts_at", "revision"}
"""Fields whose values differ from run to run."""


class Shell:
    """A folder that looks like the one a reader stands in, and an org nobody else uses in place of `acme`."""

    def __init__(self, stack: LiveStack, folder: Path) -> None:
        self.org = f"docs-{os.getpid()}-{next(_serial)}"
        self._stack = stack
        self._folder = folder
        (folder / ".sark").mkdir()
        (folder / ".sark" / "tokens.json").write_text((stack.data / "tokens.json").read_text())
        (folder / "examples").mkdir()
        example = (ROOT / "examples" / "question.json").read_text()
        (folder / "examples" / "question.json").write_text(self.translated(example))

    def translated(self, text: str) -> str:
        """A page's text with this stack's addresses and this shell's org."""
        for shown, real in (
            ("http://127.0.0.1:8088", self._stack.service_url),
            ("http://127.0.0.1:8181", self._stack.opa_url),
            ("acme", self.org),
        ):
            text = text.replace(shown, real)
        return text

    def run(self, examples: Sequence[Block], *, answer: str | None = None, **environment: str) -> list[str]:
        """What each example prints. One that fails fails the test.

        With an `answer` they run at a terminal, where it is typed to whoever asks.
        """
        script = "".join(f"{self.translated(block.typed())}\necho\necho '{_END}'\n" for block in examples)
        path = f"{Path(sys.executable).parent}:{binaries('psql').parent}:{os.environ['PATH']}"
        with _keyboard(answer) as stdin:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self._folder,
                env=os.environ | {"PATH": path} | environment,
                stdin=stdin,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return [part.strip() for part in done.stdout.split(_END)[:-1]]


@contextlib.contextmanager
def _keyboard(answer: str | None) -> Iterator[int]:
    """Standard input: nothing, or a terminal at which a line was typed."""
    if answer is None:
        yield subprocess.DEVNULL
        return
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


def comparable(value: Any) -> Any:
    """An answer with what differs from run to run replaced by its type."""
    if isinstance(value, dict):
        return {
            key: type(inner).__name__ if key in VARYING else comparable(inner) for key, inner in sorted(value.items())
        }
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    return value


def parsed(text: str) -> list[Any]:
    """The JSON values of a text, one after the other, as Python reads them."""
    decoder, values = json.JSONDecoder(), []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:]
    return values
