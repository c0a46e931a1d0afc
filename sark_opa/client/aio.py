"""The asynchronous client, on `aiohttp`. Methods mean what they mean on `SarkClient`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import aiohttp

from sark_opa.client import wire
from sark_opa.client.counting import slim
from sark_opa.client.decision import Decision, denied, parse
from sark_opa.errors import InvalidInputError


class AsyncSarkClient:
    """Decide, settle, release, awaited. Use it as an asynchronous context manager.

    Args:
        opa_url: OPA's base URL.
        service_url: the data service's base URL; only needed to settle and release.
        token: a token of role `settle`.
        opa_token: bearer token for OPA itself, where it asks for one.
        timeout_s: seconds to wait for each answer.
        count_above_bytes: a larger prompt is counted here and sent as `usage` (see `counting.slim`).
        retries: how often settle and release are tried again when the service does not answer.
    """

    def __init__(
        self,
        opa_url: str,
        *,
        service_url: str | None = None,
        token: str | None = None,
        opa_token: str | None = None,
        timeout_s: float = 5.0,
        count_above_bytes: int = 16_384,
        retries: int = 3,
    ) -> None:
        self._opa_url = opa_url.rstrip("/")
        self._service_url = service_url.rstrip("/") if service_url else None
        self._count_above_bytes = count_above_bytes
        self._retries = retries
        self._tokens = {"opa": opa_token, "service": token}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def decide(self, question: Mapping[str, Any]) -> Decision:
        """Ask OPA whether a call may go ahead; when it may, the money is already held."""
        return await self._ask(wire.DECISION_PATH, question)

    async def preview(self, question: Mapping[str, Any]) -> Decision:
        """The same decision, without holding money."""
        return await self._ask(wire.PREVIEW_PATH, question)

    async def settle(
        self,
        decision_or_hold_id: Decision | str,
        *,
        usage: Mapping[str, Any] | None = None,
        amount_usd: Decimal | None = None,
        estimated: bool = False,
    ) -> wire.Settlement:
        """End a hold with the provider's own `usage` object, or the amount it billed.

        Returns:
            The charge; or, when `spooled` is true, the note that the service keeps the settlement and books it later.

        Raises:
            RefusedError: the service refused; `problem_code` says why.
            UnreachableError: no answer; call again, it books once.
        """
        path = wire.end_path(decision_or_hold_id, "settle")
        return wire.Settlement(await self._tell(path, wire.settle_body(usage, amount_usd, estimated=estimated)))

    async def release(self, decision_or_hold_id: Decision | str) -> dict[str, Any]:
        """End a hold unused.

        Raises:
            RefusedError: the hold was settled or has expired, or there is none.
            UnreachableError: no answer; call again, or let the hold expire.
        """
        return await self._tell(wire.end_path(decision_or_hold_id, "release"), b"{}")

    async def _post(self, url: str, body: bytes, token: str | None) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("use `async with AsyncSarkClient(...)`")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        # A redirect is no answer: followed, a page that says 200 would stand for one.
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.read()

    async def _ask(self, path: str, question: Mapping[str, Any]) -> Decision:
        try:
            body = wire.question_body(slim(question, above_bytes=self._count_above_bytes))
            status, raw = await self._post(self._opa_url + path, body, self._tokens["opa"])
        except InvalidInputError as error:
            return denied(error.code, error.message)
        except (aiohttp.ClientError, TimeoutError) as error:
            return denied("opa_unavailable", f"OPA did not answer: {error}")
        return parse(status, raw)

    async def _tell(self, path: str, body: bytes) -> dict[str, Any]:
        if self._service_url is None:
            raise wire.UnreachableError("this client was made without service_url")
        pause_s = 0.1
        for tries_left in range(self._retries, -1, -1):
            try:
                status, raw = await self._post(self._service_url + path, body, self._tokens["service"])
            except (aiohttp.ClientError, TimeoutError) as error:
                if not tries_left:
                    raise wire.UnreachableError(f"the service did not answer: {error}") from error
            else:
                if status not in wire.RETRIED or not tries_left:
                    return wire.answer_of(status, raw)
            await asyncio.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("the last try returns or raises")
