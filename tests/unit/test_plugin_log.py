"""Lines of plugins: attributed, on one line each, and never too many."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from sark_opa.sandbox import plugin_log
from sark_opa.sandbox.plugin_log import PluginLog, escaped
from sark_opa.sandbox.protocol import LogLine

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain größer", "plain größer"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\u2028b\u202ec\u00ad", "a\\u2028b\\u202ec\\xad"),
        ("", ""),
    ],
)
def test_a_line_stays_one_line(text, written):
    """Control characters, line separators and marks that turn the direction of text are written out."""
    assert escaped(text) == written


async def test_more_than_fifty_at_once_are_counted(monkeypatch):
    """The rest is told in one line a moment later, and then lines come through again."""
    monkeypatch.setattr(plugin_log, "SUPPRESSED_S", 0.15)
    log = PluginLog(asyncio.get_running_loop())
    with structlog.testing.capture_logs() as lines:
        for number in range(80):
            log.write("noisy", "1.2.0", (LogLine("error", f"line {number}"),))
        await asyncio.sleep(0.3)
        log.write("noisy", "1.2.0", (LogLine("info", "again"),))
    assert [line["message"] for line in lines[:50]] == [f"line {number}" for number in range(50)]
    assert lines[0] | {"logger_name": ""} == {
        "event": "plugin_log", "log_level": "error", "plugin": "noisy", "version": "1.2.0", "message": "line 0",
        "logger_name": "",
    }  # fmt: skip
    told, again = lines[50:]
    assert (told["event"], told["plugin"], told["version"], told["lines"]) == (
        "plugin_log_suppressed", "noisy", "1.2.0", 30,
    )  # fmt: skip
    assert (again["event"], again["message"], again["log_level"]) == ("plugin_log", "again", "info")


async def test_what_was_not_written_is_told_at_the_end():
    """A plugin unloaded meanwhile leaves its number behind, once."""
    log = PluginLog(asyncio.get_running_loop())
    with structlog.testing.capture_logs() as lines:
        log.write("noisy", "1", [LogLine("info", "x")] * 53)
        log.close()
        log.close()
    assert [line["lines"] for line in lines if line["event"] == "plugin_log_suppressed"] == [3]
