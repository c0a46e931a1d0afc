"""How long a plugin that dies again and again is left without a process."""

from __future__ import annotations

import asyncio
from typing import Final

from sark_opa.sandbox.contract import Failure

DEATHS_IN_A_ROW_MAX: Final = 2
REST_S_MIN: Final = 0.25
REST_S_MAX: Final = 30.0


class Rests:
    """Counts deaths without an answer in between; from the third on the plugin rests, each time for longer.

    Attributes:
        resting: whether it does now.
        last_failure: what it died of last.
    """

    def __init__(self, last_failure: Failure) -> None:
        self.resting = False
        self.last_failure = last_failure
        self._deaths_in_a_row = 0

    @property
    def due(self) -> bool:
        """Whether it has to rest before it gets another process."""
        return self._deaths_in_a_row > DEATHS_IN_A_ROW_MAX

    def died(self, failure: Failure, *, answers: int) -> None:
        """Note a death after so many answers."""
        self._deaths_in_a_row = 1 if answers else self._deaths_in_a_row + 1
        self.last_failure = failure

    def end(self) -> None:
        """Forget the deaths there have been."""
        self._deaths_in_a_row = 0

    async def rest(self) -> None:
        """Let the time pass."""
        self.resting = True
        try:
            await asyncio.sleep(rest_s(self._deaths_in_a_row - DEATHS_IN_A_ROW_MAX))
        finally:
            self.resting = False


def rest_s(rests: int) -> float:
    """Twice as long each time. The exponent is capped first: a plugin that rests for days must not overflow it."""
    return min(REST_S_MIN * 2.0 ** min(rests - 1, 16), REST_S_MAX)
