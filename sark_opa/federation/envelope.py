"""Signed bytes: DSSE envelopes (Dead Simple Signing Envelope, protocol 1.0.2) with Ed25519.

The signature covers the bytes as they travel, and the type of what they are, so nothing depends on how JSON is written
and no signature made here is good for anything else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sark_opa.errors import FederationClockError, FederationError, FederationSignatureError
from sark_opa.federation import documents
from sark_opa.federation.documents import Document
from sark_opa.federation.membership import Membership
from sark_opa.sandbox.packages.signature import key_id_of

PAYLOAD_TYPE: Final = "application/vnd.sark-opa.federation+json"
MEDIA_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
"""Of an envelope over HTTP."""
_SIGNATURES_MAX: Final = 4

D = TypeVar("D", bound=Document)


class EnvelopeSignature(msgspec.Struct, frozen=True):
    """Who signed, by key id, and the signature in base64."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """A DSSE envelope: what the payload is, the payload in base64, and its signatures."""

    payload_type: str
    payload: str
    signatures: list[EnvelopeSignature]


_decoder: Final = msgspec.json.Decoder(Envelope)


@dataclass(frozen=True, slots=True)
class Signed(Generic[D]):
    """A document whose signature was checked.

    Attributes:
        document: what is said.
        digest: SHA-256 of the signed bytes, in hex.
        envelope: as it came, to be kept or handed on.
    """

    document: D
    digest: str
    envelope: bytes


def sign(document: D, key: Ed25519PrivateKey) -> Signed[D]:
    """The envelope around a document."""
    payload = documents.encode(document)
    signature = EnvelopeSignature(
        key_id_of(key.public_key()), base64.b64encode(key.sign(_authenticated(payload))).decode()
    )
    envelope = Envelope(PAYLOAD_TYPE, base64.b64encode(payload).decode(), [signature])
    return Signed(document, _digest(payload), msgspec.json.encode(envelope))


def opened(
    envelope: bytes, membership: Membership, kind: type[D], *, now: datetime, lasting: bool = False, own: bool = False
) -> Signed[D]:
    """The document of an envelope that a peer signed for us.

    Args:
        envelope: as it came.
        membership: whose keys count.
        kind: what it has to be.
        now: our time.
        lasting: it may have been made at any time before now; else only a short while ago.
        own: it is one of ours, for a peer.

    Raises:
        FederationSignatureError: not signed by its issuer, or by nobody we know.
        FederationClockError: made in the future, or too long ago.
        FederationError: it is something else, or for somebody else.
    """
    try:
        read = _decoder.decode(envelope)
        payload = base64.b64decode(read.payload, validate=True)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise FederationError(f"this is no envelope of the federation: {error}") from error
    if read.payload_type != PAYLOAD_TYPE:
        raise FederationError(f"an envelope of {read.payload_type[:100]!r}, not of {PAYLOAD_TYPE}")
    document = documents.decode(payload)
    if own:
        keys: Mapping[str, Ed25519PublicKey] = {key_id_of(membership.key.public_key()): membership.key.public_key()}
        stranger, for_us = document.issuer != membership.member, document.audience in membership.peers
    else:
        peer = membership.peers.get(document.issuer)
        keys = {} if peer is None else peer.keys
        stranger, for_us = peer is None, document.audience == membership.member
    if stranger:
        raise FederationSignatureError(f"{document.issuer!r} is no member that is known here", issuer=document.issuer)
    if not _is_signed(read.signatures, payload, keys):
        raise FederationSignatureError(
            f"this is not signed with a key of {document.issuer} that is known here", issuer=document.issuer
        )
    if not for_us:
        raise FederationError(f"this is for {document.audience!r}, not for {membership.member}")
    if not isinstance(document, kind):
        raise FederationError(f"this is a {type(document).__name__.lower()}, not a {kind.__name__.lower()}")
    _check_time(document, now, membership.clock_tolerance_s, lasting=lasting)
    return Signed(document, _digest(payload), envelope)


def _check_time(document: Document, now: datetime, tolerance_s: float, *, lasting: bool) -> None:
    ahead_s = (document.issued_at - now) / timedelta(seconds=1)
    if ahead_s > tolerance_s:
        raise FederationClockError(
            f"{document.issuer} made this at {document.issued_at}, {ahead_s:.0f} s ahead of our clock",
            ahead_s=int(ahead_s),
        )
    if not lasting and -ahead_s > tolerance_s:
        raise FederationClockError(
            f"{document.issuer} made this at {document.issued_at}, {-ahead_s:.0f} s ago by our clock",
            ahead_s=int(ahead_s),
        )


def _is_signed(signatures: list[EnvelopeSignature], payload: bytes, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    for signature in signatures[:_SIGNATURES_MAX]:
        key = keys.get(signature.keyid)
        if key is None:
            continue
        try:
            key.verify(base64.b64decode(signature.sig, validate=True), _authenticated(payload))
        except (InvalidSignature, binascii.Error, ValueError):
            continue
        return True
    return False


def _authenticated(payload: bytes) -> bytes:
    # DSSE's pre-authentication encoding.
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
