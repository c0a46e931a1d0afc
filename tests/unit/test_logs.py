"""Logs: one object a line, or a line for people; neither shows what a caller sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
from decimal import Decimal
from sark_opa.logs import configure, get_logger
configure("{level}", "{form}")
log = get_logger("sark_opa.test")
log.info("request", path="/v1/facts", amount=Decimal("0.1"), kind={{1}})
def answer(prompt):
    raise ZeroDivisionError
try:
    answer("the words" + " of a caller")
except ZeroDivisionError:
    log.exception("crash")
"""


def _logged(form: str, level: str = "info") -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form, level=level)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, done.stderr


def test_a_line_is_one_object() -> None:
    """Also a trace, also of values that JSON has no type for; standard output stays empty."""
    stdout, stderr = _logged("json")
    request, crash = map(json.loads, stderr.splitlines())
    assert stdout == ""
    assert (request["event"], request["level"], request["logger_name"]) == ("request", "info", "sark_opa.test")
    assert (request["amount"], request["kind"]) == ("0.1", [1])
    assert crash["event"] == "crash"
    assert "ZeroDivisionError" in crash["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_trace_shows_no_values(form: str) -> None:
    """A crash while a prompt is read must not put the prompt into the log."""
    _, stderr = _logged(form)
    assert "ZeroDivisionError" in stderr
    assert "the words of a caller" not in stderr


def test_less_severe_lines_are_left_out() -> None:
    """Below the level that is set."""
    _, stderr = _logged("json", "error")
    assert [json.loads(line)["event"] for line in stderr.splitlines()] == ["crash"]
