"""The id of a hold: opaque and URL-safe to callers, and worked out from its org and request_id alone."""

from __future__ import annotations

import base64
import binascii

from sark_opa.errors import UnknownHoldError

_SEPARATOR = "\n"  # neither an org nor a request_id may hold a control character


def encode(org: str, request_id: str) -> str:
    """The id of the hold of `request_id` in `org`."""
    plain = f"{org}{_SEPARATOR}{request_id}".encode()
    return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()


def decode(hold_id: str) -> tuple[str, str]:
    """Org and request_id of the hold called `hold_id`.

    Raises:
        UnknownHoldError: not an id that `encode` gives.
    """
    try:
        padded = hold_id.encode("ascii") + b"=" * (-len(hold_id) % 4)
        org, request_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(_SEPARATOR)
    except (binascii.Error, ValueError) as error:
        raise UnknownHoldError(f"{hold_id[:80]!r} is not the id of a hold") from error
    if not org or not request_id or encode(org, request_id) != hold_id:
        raise UnknownHoldError(f"{hold_id[:80]!r} is not the id of a hold")
    return org, request_id
