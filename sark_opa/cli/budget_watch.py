"""`sark-opa budget status --watch`: the table again and again, also while what answers is away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sark_opa.cli import budget_output as output
from sark_opa.cli import console
from sark_opa.client.wire import UnreachableError
from sark_opa.errors import SarkError, UnavailableError

Look = Callable[[], output.Standings]


def watch(look: Look, *, interval_s: float, json: bool) -> None:
    """Show what `look` sees every `interval_s` seconds, until Ctrl-C, which ends it without a word.

    While nothing answers, the last table stays, and a line says since when.

    Raises:
        SarkError: the first look failed, or a later one was refused.
    """
    shown = _Shown(look())
    with suppress(KeyboardInterrupt):
        if json:
            _lines(shown, look, interval_s)
        elif not console.is_terminal:
            _tables(shown, look, interval_s)
        else:
            with Live(shown.rendered(), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(interval_s)
                    shown.again(look)
                    live.update(shown.rendered(), refresh=True)


class _Shown:
    """The last table there was, and since when there has been no other."""

    def __init__(self, first: output.Standings) -> None:
        self.last = first
        self.trouble: str | None = None
        self._since = ""

    def again(self, look: Look) -> None:
        """Look once more."""
        try:
            self.last = look()
            self.trouble = None
        except (UnavailableError, UnreachableError) as error:
            if self.trouble is None:
                self._since = f"{datetime.now(UTC):%H:%M:%S} UTC"
            self.trouble = f"no answer since {self._since}, trying again: {_first_line(error)}"

    def rendered(self) -> RenderableType:
        """The table, and below it what is to be known."""
        lines: list[RenderableType] = [output.table_of(self.last)]
        if self.last.more:
            lines.append(Text("there are more: name an account, or give --limit", "dim"))
        lines.append(Text(f"as of {self.last.at[:19]} UTC; Ctrl-C ends", "dim"))
        if self.trouble is not None:
            lines.append(Text(self.trouble, "bold red"))
        return Group(*lines)


def _lines(shown: _Shown, look: Look, interval_s: float) -> None:
    """For programs: one line of JSON for each look."""
    while True:
        if shown.trouble is None:
            output.write_json({"at": shown.last.at, "budgets": shown.last.budgets}, indent=-1)
        else:
            output.write_json({"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "error": shown.trouble}, indent=-1)
        time.sleep(interval_s)
        shown.again(look)


def _tables(shown: _Shown, look: Look, interval_s: float) -> None:
    """For a pipe: one table below the other."""
    while True:
        output.show(shown.rendered())
        time.sleep(interval_s)
        shown.again(look)


def _first_line(error: SarkError) -> str:
    return error.message.partition("\n")[0][:200]
