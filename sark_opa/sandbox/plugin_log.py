"""What a plugin logs, written as the plugin's words among the service's own lines, and never more than a little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from sark_opa.logs import get_logger
from sark_opa.sandbox.protocol import LogLine

LINES_PER_S: Final = 10.0
LINES_BURST: Final = 50.0
SUPPRESSED_S: Final = 1.0
"""How long after the first line that is not written the number of those is."""

_log = get_logger("sark_opa.sandbox.plugin")


class PluginLog:
    """Writes the lines of one plugin, ten a second and fifty at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._plugin = self._version = ""
        self._allowance = LINES_BURST
        self._counted_at = time.monotonic()
        self._suppressed = 0
        self._telling: asyncio.TimerHandle | None = None

    def write(self, plugin: str, version: str, lines: Iterable[LogLine]) -> None:
        """Write what may be written, and count the rest."""
        self._plugin, self._version = plugin, version
        now = time.monotonic()
        self._allowance = min(LINES_BURST, self._allowance + (now - self._counted_at) * LINES_PER_S)
        self._counted_at = now
        for line in lines:
            if self._allowance >= 1:
                self._allowance -= 1
                write = getattr(_log, line.level)
                write("plugin_log", plugin=plugin, version=version, message=escaped(line.message))
            else:
                self._suppressed += 1
        if self._suppressed and self._telling is None:
            self._telling = self._loop.call_later(SUPPRESSED_S, self._tell_suppressed)

    def close(self) -> None:
        """Tell how many lines were not written, if that is still to be told."""
        if self._telling is not None:
            self._telling.cancel()
            self._tell_suppressed()

    def _tell_suppressed(self) -> None:
        self._telling = None
        suppressed, self._suppressed = self._suppressed, 0
        _log.warning("plugin_log_suppressed", plugin=self._plugin, version=self._version, lines=suppressed)


def escaped(text: str) -> str:
    """`text` with control characters, line breaks and marks of direction written out, so that it stays one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
