"""Asking a running OPA, for tools that already are asynchronous: `doctor`, the demo, tests.

Gateways use `sark_opa.client`, which keeps connections and counts tokens. This is the only user of
`opa-python-client`; it adds types, its errors' messages, and a denial for whatever is no decision.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from opa_client.errors import ConnectionsError, PolicyNotFoundError
from opa_client.opa_async import AsyncOpaClient

from sark_opa.client.decision import Decision, parse
from sark_opa.errors import OpaError


class OpaClient:
    """A connection to OPA; use it as an asynchronous context manager.

    Args:
        url: OPA's base URL, such as `http://127.0.0.1:8181`.
        token: bearer token, where OPA asks for one.
        timeout_s: seconds to wait for each answer.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or parts.hostname is None:
            raise OpaError(f"{url!r} is no URL of an OPA server")
        tls = parts.scheme == "https"
        # No retries: a decision is asked once, and whoever waits for OPA says for how long.
        self._client = AsyncOpaClient(
            host=parts.hostname,
            port=parts.port or (443 if tls else 80),
            ssl=tls,
            token=token,
            retries=0,
            timeout=timeout_s,
        )
        self._url = url

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def decision(self, question: dict[str, Any], *, rule: str = "decision") -> Decision:
        """OPA's decision; a denial with code `decision_malformed` where the answer is none.

        Args:
            question: the input of `docs/reference/decision.md`.
            rule: `decision`, or `preview` to hold no money.

        Raises:
            OpaError: OPA does not answer.
        """
        try:
            answer = await self._client.query_rule(question, "sark.authz", rule)
        except aiohttp.ClientResponseError as error:
            return parse(error.status, b"")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unreachable(error) from error
        return parse(200, json.dumps(answer).encode())

    async def health(self) -> bool:
        """Whether OPA is up with its bundles loaded."""
        return bool(await self._client.check_health(query={"bundles": "true"}))

    async def policies(self) -> list[str]:
        """Ids of the loaded policy files.

        Raises:
            OpaError: OPA does not answer.
        """
        try:
            return list(await self._client.get_policies_list())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unreachable(error) from error

    async def data(self, path: str) -> Any:
        """The document at `path`, such as `sark/config`; None where there is none.

        Raises:
            OpaError: OPA does not answer.
        """
        try:
            return (await self._client.get_data(path))["result"]
        except PolicyNotFoundError:
            return None
        except (aiohttp.ClientError, TimeoutError, ValueError, ConnectionsError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> OpaError:
        return OpaError(f"OPA at {self._url} does not answer: {type(error).__name__} {error}".rstrip())
