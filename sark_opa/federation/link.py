"""The way to a peer: signed messages over HTTP."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, Protocol

import aiohttp

from sark_opa.errors import FederationUnavailableError
from sark_opa.federation.envelope import MEDIA_TYPE
from sark_opa.federation.membership import Peer

Path = Literal["accept", "cancel", "ask", "receipts"]
SCHEME: Final = "Sark-Federation"
"""Of the header `Authorization` of a request without a body, before the envelope in base64."""
_ANSWER_BYTES_MAX: Final = 64 * 2**20
"""A statement of some hundred thousand principals."""


class Link(Protocol):
    """Carries envelopes to peers. A message or an answer that does not arrive is a `FederationUnavailableError`.

    What an answer says is worth nothing before its signature is checked.
    """

    async def post(self, peer: Peer, path: Path, envelope: bytes) -> bytes:
        """The peer's answer to a message.

        Raises:
            FederationUnavailableError: there is none; whether the message arrived is not known.
        """
        ...

    async def statements(self, peer: Peer, envelope: bytes, after: int) -> bytes:
        """The peer's page of statements.

        Raises:
            FederationUnavailableError: there is none.
        """
        ...


class HttpLink:
    """`Link` on HTTP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def opened(cls, timeout_s: float) -> AsyncIterator[HttpLink]:
        """A link whose answers have to come within `timeout_s` seconds."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            yield cls(session)

    async def post(self, peer: Peer, path: Path, envelope: bytes) -> bytes:
        """The peer's answer to a message."""
        return await self._ask(peer, "POST", f"/v1/federation/{path}", envelope, {"Content-Type": MEDIA_TYPE})

    async def statements(self, peer: Peer, envelope: bytes, after: int) -> bytes:
        """The peer's page of statements."""
        headers = {"Authorization": f"{SCHEME} {base64.b64encode(envelope).decode()}"}
        return await self._ask(peer, "GET", f"/v1/federation/statements?after={after}", None, headers)

    async def _ask(self, peer: Peer, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        try:
            # A redirect is no answer: only the address in the file is the peer's.
            async with self._session.request(
                method, peer.url + path, data=body, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.content.read(_ANSWER_BYTES_MAX + 1)
                while not answer.content.at_eof() and len(content) <= _ANSWER_BYTES_MAX:
                    content += await answer.content.read(_ANSWER_BYTES_MAX + 1)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise FederationUnavailableError(
                f"{peer.name} does not answer at {peer.url}: {str(error) or type(error).__name__}", peer=peer.name
            ) from error
        if answer.status != 200 or len(content) > _ANSWER_BYTES_MAX:  # noqa: PLR2004  # HTTP's OK
            raise FederationUnavailableError(
                f"{peer.name} answers {answer.status}: {content[:300].decode(errors='replace')}", peer=peer.name
            )
        return content
