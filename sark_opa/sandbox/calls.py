"""What a plugin may call of the service while it answers a question, and how large it may be.

A call is one message from the plugin's process to the service, its result one back. Both sides import this file.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

CALLS_MAX: Final = 16
"""Calls a plugin may make while it answers one question."""
KEY_BYTES_MAX: Final = 256
LIMIT_MAX: Final = 1_000_000
WINDOW_S_MAX: Final = 31 * 86_400
COST_MAX: Final = 1_000
"""A hit takes as many entries as it costs: more would hold up everybody else's at the store."""

Fault = Literal["overloaded", "timeout", "unavailable"]
"""Why the service did not do what it was called for. What a fault may be caused by, plugins read in their guide."""


class Call(msgspec.Struct, tag="call", array_like=True, frozen=True):
    """In the middle of question `id`: use the rate window named `key`. `number` counts the question's calls from 1."""

    id: int
    number: Annotated[int, msgspec.Meta(ge=1, le=CALLS_MAX)]
    action: Literal["hit", "peek"]
    key: Annotated[bytes, msgspec.Meta(min_length=1, max_length=KEY_BYTES_MAX)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)]
    window_s: Annotated[int, msgspec.Meta(ge=1, le=WINDOW_S_MAX)]
    cost: Annotated[int, msgspec.Meta(ge=1, le=COST_MAX)]


class Result(msgspec.Struct, tag="result", array_like=True, frozen=True):
    """What became of call `number` of question `id`; with a fault the other fields say nothing."""

    id: int
    number: int
    fault: Fault | None
    allowed: bool = False
    remaining: int = 0
    reset_s: float = 0.0
