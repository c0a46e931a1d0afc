"""When the breaker of a plugin opens, for how long, and what closes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sark_opa.sandbox.breaker import Breaker
from sark_opa.sandbox.contract import Failure, Limits

CRASHED = Failure("crashed", "crashed (exit 7)")
LIMITS = Limits()
OPEN_S, OPEN_S_MAX = LIMITS.breaker_open_ms / 1000, LIMITS.breaker_open_ms_max / 1000


class Clock:
    """An instant that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def breaker(*failed_at: float) -> tuple[Breaker, Clock]:
    """A breaker after failures at these seconds."""
    clock = Clock()
    made, started = Breaker(LIMITS, clock), clock.now
    for second in failed_at:
        clock.now = started + second
        made.failed(CRASHED)
    return made, clock


def test_five_failures_within_a_minute_open_it():
    """Four do not, nor do five in more than a minute; answers in between change nothing."""
    assert breaker(0, 1, 2, 3)[0].refusal() is None
    assert breaker(0, 20, 40, 60, 60.1)[0].refusal() is None
    opened, _ = breaker(0, 20, 40, 50)
    opened.answered()
    assert opened.failed(Failure("error", "raised KeyError")) is opened.refusal()
    assert opened.tripped


def test_a_window_slides():
    """The five are any that lie within a minute, whatever came before."""
    assert breaker(0, 50, 70, 90, 100)[0].refusal() is None
    assert breaker(0, 50, 70, 90, 100, 109)[0].refusal() is not None


def test_the_refusal_says_why_and_until_when():
    """It carries the status and the reason of the last failure, and the time of day the breaker is open until."""
    opened, _ = breaker(0, 0, 0, 0, 0)
    refusal = opened.refusal()
    assert refusal is not None
    assert refusal.status == "crashed"
    found = re.search(r"breaker is open until (\S+Z); the last failure: crashed \(exit 7\)$", refusal.reason)
    assert found is not None
    left = datetime.fromisoformat(found[1]) - datetime.now(UTC)
    assert OPEN_S - 3 < left.total_seconds() <= OPEN_S


def test_one_probe_is_let_through_and_its_answer_closes_it():
    """The others are refused until the probe has been answered; then it takes five failures again."""
    opened, clock = breaker(0, 0, 0, 0, 0)
    clock.now += OPEN_S - 0.01
    assert opened.refusal() is not None
    assert opened.answered() is False, "an answer from before it opened proves nothing"
    clock.now += 0.02
    assert opened.refusal() is None
    opened.asked()
    assert opened.refusal() is not None
    assert opened.answered() is True
    assert (opened.refusal(), opened.tripped) == (None, False)
    assert [opened.failed(CRASHED) is None for _ in range(5)] == [True] * 4 + [False]
    clock.now += OPEN_S
    assert opened.refusal() is None, "closed in between, it starts with the shortest time again"


def test_a_probe_that_fails_doubles_the_time_up_to_ten_minutes():
    """30 s, 60, 120, 240, 480, then 600 for ever."""
    opened, clock = breaker(0, 0, 0, 0, 0)
    lengths = []
    for _ in range(8):
        started = clock.now
        while opened.refusal() is not None:
            clock.now += 1
        lengths.append(clock.now - started)
        opened.asked()
        assert opened.failed(CRASHED) is not None
    assert lengths == [30, 60, 120, 240, 480, 600, 600, 600]


def test_a_probe_nobody_hears_of_again_is_followed_by_another():
    """One whose caller gave up before it was sent neither closes nor opens anything."""
    opened, clock = breaker(0, 0, 0, 0, 0)
    clock.now += OPEN_S
    opened.asked()
    assert opened.refusal() is not None
    clock.now += LIMITS.wall_ms / 1000
    assert opened.refusal() is None


def test_failures_of_calls_from_before_do_not_prolong_it():
    """What was in the process when it opened may still fail; that is no probe."""
    opened, clock = breaker(0, 0, 0, 0, 0)
    clock.now += OPEN_S / 2
    assert opened.failed(CRASHED) is None
    clock.now += OPEN_S / 2
    assert opened.refusal() is None


def test_closing_by_hand_forgets_everything():
    """An operator who releases a plugin finds it as new."""
    opened, _ = breaker(0, 0, 0, 0, 0)
    opened.close()
    assert opened.refusal() is None
    assert [opened.failed(CRASHED) for _ in range(4)] == [None] * 4
