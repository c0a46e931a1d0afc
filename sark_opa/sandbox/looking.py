"""Having a plugin's source looked over without running it: what is asked of a process, and what it answers.

Both sides import this file, so it depends on the standard library and msgspec alone.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from sark_opa.sandbox.contract import Need

FAULTS_MAX: Final = 100
FAULT_BYTES_MAX: Final = 1_024
"""Of one message. So many of so many fit into a reply."""


class Check(msgspec.Struct, tag="check", array_like=True):
    """Look over `source`, of a plugin whose manifest says these `needs` and requires plugins of these names."""

    source: str
    needs: tuple[Need, ...]
    requires: tuple[str, ...]
    id: int = 0


class SourceFault(msgspec.Struct, array_like=True, frozen=True):
    """Something that cannot work; `line` is where, if it is at one place."""

    line: int | None
    message: Annotated[str, msgspec.Meta(max_length=FAULT_BYTES_MAX)]


class Checked(msgspec.Struct, tag="checked", array_like=True, frozen=True):
    """All that was found, by line, and the needs the source has no use for."""

    id: int
    faults: Annotated[tuple[SourceFault, ...], msgspec.Meta(max_length=FAULTS_MAX)]
    unused_needs: tuple[Need, ...]
