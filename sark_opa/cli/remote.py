"""A running service as commands ask it: a token, one JSON answer, clear words when there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import requests

from sark_opa.client.wire import RefusedError, UnreachableError, answer_of
from sark_opa.errors import ConfigurationError

Answer = dict[str, Any]
exact: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
"""Reads what the service would send, with exact decimals."""
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Remote:
    """The routes below one path of a service.

    Args:
        url: of the service.
        path: what every route begins with, such as `/v1/budgets`.
        token: of whoever runs the command.
        roles: that may do this, for the message when there is no token.
        timeout_s: how long to wait for an answer.

    Raises:
        ConfigurationError: there is no token.
    """

    def __init__(self, url: str, path: str, token: str, *, roles: str, timeout_s: float) -> None:
        if not token:
            raise ConfigurationError(
                f"no token: set SARK_TOKEN to one of role {roles} (sark-opa token create), or give --database-url"
            )
        self._url = url.rstrip("/") + path
        self._timeout_s = timeout_s
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {token}"

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer of a route, decimals exact.

        Raises:
            UnreachableError: no answer, or one of something in between.
            RefusedError: the answer is no; the message begins with its code.
        """
        url = self._url + path
        data = None if body is None else _encode(body)
        try:
            answer = self._http.request(
                method, url, params=query, data=data, timeout=self._timeout_s, allow_redirects=False
            )
        except requests.RequestException as error:
            raise UnreachableError(f"{url} does not answer: {error}") from error
        if answer.status_code in {502, 503, 504}:
            raise UnreachableError(f"{url} answers {answer.status_code}: {answer.text[:200]}")
        try:
            return answer_of(answer.status_code, answer.content)
        except RefusedError as error:
            message = f"{error.problem_code}: {error.message}"
            raise RefusedError(error.http_status, error.problem_code, message) from None
