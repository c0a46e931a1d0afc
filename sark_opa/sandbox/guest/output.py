"""What a plugin says beside its decision: what it prints, and what it logs. Both are kept short, and for one call."""

from __future__ import annotations

import io
import logging
from typing import Final, Literal

from sark_opa.sandbox import protocol
from sark_opa.sandbox.protocol import LogLine

_LEVELS: Final[tuple[tuple[int, Literal["debug", "info", "warning", "error", "critical"]], ...]] = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class CapturedOutput(io.TextIOBase):
    """Stands in for standard output and error: keeps the first few thousand characters of a call."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = protocol.OUTPUT_CHARS_MAX

    def write(self, text: str, /) -> int:
        """Keep what fits, drop the rest."""
        if self._left > 0:
            kept = str(text)[: self._left]
            self._parts.append(kept)
            self._left -= len(kept)
        return len(text)

    def take(self) -> str:
        """What was written since the last time, as text that can be encoded."""
        if not self._parts:
            return ""
        text = "".join(self._parts).encode("utf-8", "backslashreplace").decode()[: protocol.OUTPUT_CHARS_MAX]
        self._parts.clear()
        self._left = protocol.OUTPUT_CHARS_MAX
        return text


class CapturedLog(logging.Handler):
    """The root logger's only handler: keeps the first lines of a call for the service to write."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[LogLine] = []
        self._left = protocol.LOG_CHARS_MAX

    def install(self) -> None:
        """Take every record of level INFO and above, and let records hold nothing that takes a system call."""
        logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
        root = logging.getLogger()
        root.handlers[:] = [self]
        root.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep its message; of an exception only the type, since its text may quote a prompt."""
        if self._left <= 0 or len(self._lines) == protocol.LOG_LINES_MAX:
            return
        try:
            message = record.getMessage()[: self._left]
        except (KeyError, TypeError, ValueError):  # its arguments do not fit its text
            self.handleError(record)
            return
        if record.exc_info and record.exc_info[0] is not None:
            message += f" ({record.exc_info[0].__name__})"
        message = message.encode("utf-8", "backslashreplace").decode()[: self._left]
        self._left -= len(message)
        self._lines.append(LogLine(_level(record.levelno), message))

    def take(self) -> tuple[LogLine, ...]:
        """What was logged since the last time."""
        if not self._lines:
            return ()
        lines = tuple(self._lines)
        self._lines.clear()
        self._left = protocol.LOG_CHARS_MAX
        return lines


def _level(number: int) -> Literal["debug", "info", "warning", "error", "critical"]:
    return next((name for least, name in _LEVELS if number >= least), "debug")
