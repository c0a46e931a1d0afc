"""Speaking as our member: signing what we say, checking what is answered."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from sark_opa.errors import FederationUnavailableError, SarkError
from sark_opa.federation.documents import Document, Word
from sark_opa.federation.envelope import Signed, opened, sign
from sark_opa.federation.link import Link, Path
from sark_opa.federation.membership import Membership, Peer

D = TypeVar("D", bound=Document)


class Voice:
    """Our signature and the way to the peers.

    Args:
        membership: who we are, who they are.
        link: how messages get there.
        now: our clock.
    """

    def __init__(self, membership: Membership, link: Link, now: Callable[[], datetime]) -> None:
        self.membership = membership
        self.link = link
        self.now = now

    def signed(self, kind: type[D], audience: str, **fields: Any) -> Signed[D]:
        """A document of ours for `audience`, made now."""
        document = kind(issuer=self.membership.member, audience=audience, issued_at=self.now(), **fields)
        return sign(document, self.membership.key)

    def heard(self, envelope: bytes, kind: type[D], *, lasting: bool = False) -> Signed[D]:
        """What a peer says to us; as `envelope.opened`, with what that raises."""
        return opened(envelope, self.membership, kind, now=self.now(), lasting=lasting)

    async def ask(self, peer: Peer, path: Path, message: Signed[Any]) -> Signed[Word]:
        """The peer's word about the transfer of a message.

        Raises:
            FederationUnavailableError: there is no answer, or none that is signed, timely, and to this message.
        """
        content = await self.link.post(peer, path, message.envelope)
        try:
            word = self.heard(content, Word)
        except SarkError as error:
            raise FederationUnavailableError(f"{peer.name} gives no valid answer: {error.message}") from error
        said = word.document
        if (
            said.issuer != peer.name
            or said.in_reply_to != message.digest
            or said.transfer_id != message.document.transfer_id
        ):
            raise FederationUnavailableError(f"{peer.name} gives an answer to something else")
        return word


def fingerprint_of(*parts: Any) -> bytes:
    """16 bytes that differ when any part does."""
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).digest()


def alias_of(alias_key: bytes, peer: str, org: str, principal_id: str) -> str:
    """What a principal is called towards a peer: HMAC-SHA256, cut to 128 bits, in hex.

    The peer's name is part of it, so that two peers cannot find out that they serve the same principal.
    """
    stated = f"{peer}\n{org}\n{principal_id}".encode()
    return hmac.new(alias_key, stated, hashlib.sha256).hexdigest()[:32]
