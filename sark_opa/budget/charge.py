"""What a hold becomes when it is settled."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Charge(msgspec.Struct, frozen=True):
    """A settled cost record. `charged_at` lies in the window the money was held in."""

    id: str
    org: str
    request_id: str
    principal_id: str
    resource_id: str
    capability_id: str
    provider: str | None
    model: str | None
    estimated_nanousd: int
    """Expected cost at the time of the hold."""
    held_nanousd: int
    actual_nanousd: int
    charged_at: datetime
    price_revision: str | None
    late: bool
    """Settled after the hold had expired or was released."""
    hold_exceeded: bool
    """The provider billed more than was held: booked in full, flagged."""
    estimated: bool
