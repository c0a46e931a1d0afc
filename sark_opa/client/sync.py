"""The synchronous client, on `requests`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sark_opa.client import wire
from sark_opa.client.counting import slim
from sark_opa.client.decision import Decision, denied, parse
from sark_opa.errors import InvalidInputError


class SarkClient:
    """Decide, settle, release. Safe to share between threads as far as `requests.Session` is.

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
        self._timeout_s = timeout_s
        self._count_above_bytes = count_above_bytes
        self._opa = requests.Session()
        self._service = requests.Session()
        if opa_token:
            self._opa.headers["Authorization"] = f"Bearer {opa_token}"
        if token:
            self._service.headers["Authorization"] = f"Bearer {token}"
        again = Retry(
            total=retries,
            backoff_factor=0.1,
            status_forcelist=wire.RETRIED,
            allowed_methods={"POST"},
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._service.mount(scheme, HTTPAdapter(max_retries=again, pool_maxsize=64))
            self._opa.mount(scheme, HTTPAdapter(pool_maxsize=64))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._opa.close()
        self._service.close()

    def decide(self, question: Mapping[str, Any]) -> Decision:
        """Ask OPA whether a call may go ahead; when it may, the money is already held.

        Args:
            question: the input of `docs/reference/decision.md`; give every call its own `request_id`.

        Returns:
            The decision; a denial (code `opa_unavailable` or `decision_malformed`) when OPA gives none, or
            (`invalid_input`) when the question is nothing that JSON can say.
        """
        return self._ask(wire.DECISION_PATH, question)

    def preview(self, question: Mapping[str, Any]) -> Decision:
        """The same decision, without holding money."""
        return self._ask(wire.PREVIEW_PATH, question)

    def settle(
        self,
        decision_or_hold_id: Decision | str,
        *,
        usage: Mapping[str, Any] | None = None,
        amount_usd: Decimal | None = None,
        estimated: bool = False,
    ) -> wire.Settlement:
        """End a hold with the provider's own `usage` object, or the amount it billed.

        Args:
            decision_or_hold_id: the decision that allowed the call, or its hold's id.
            usage: as the provider sent it; give this or `amount_usd`.
            amount_usd: what was billed, USD.
            estimated: the figures are partial, such as after a disconnect.

        Returns:
            The charge; or, when `spooled` is true, the note that the service keeps the settlement and books it later.

        Raises:
            RefusedError: the service refused; `problem_code` says why.
            UnreachableError: no answer; call again, it books once.
        """
        path = wire.end_path(decision_or_hold_id, "settle")
        return wire.Settlement(self._tell(path, wire.settle_body(usage, amount_usd, estimated=estimated)))

    def release(self, decision_or_hold_id: Decision | str) -> dict[str, Any]:
        """End a hold unused.

        Raises:
            RefusedError: the hold was settled or has expired, or there is none.
            UnreachableError: no answer; call again, or let the hold expire.
        """
        return self._tell(wire.end_path(decision_or_hold_id, "release"), b"{}")

    def _ask(self, path: str, question: Mapping[str, Any]) -> Decision:
        try:
            body = wire.question_body(slim(question, above_bytes=self._count_above_bytes))
            answer = self._post(self._opa, self._opa_url + path, body)
        except InvalidInputError as error:
            return denied(error.code, error.message)
        except requests.RequestException as error:
            return denied("opa_unavailable", f"OPA did not answer: {error}")
        return parse(answer.status_code, answer.content)

    def _post(self, session: requests.Session, url: str, body: bytes) -> requests.Response:
        # A redirect is no answer: followed, a page that says 200 would stand for one.
        headers = {"Content-Type": "application/json"}
        return session.post(url, body, headers=headers, timeout=self._timeout_s, allow_redirects=False)

    def _tell(self, path: str, body: bytes) -> dict[str, Any]:
        if self._service_url is None:
            raise wire.UnreachableError("this client was made without service_url")
        try:
            answer = self._post(self._service, self._service_url + path, body)
        except requests.RequestException as error:
            raise wire.UnreachableError(f"the service did not answer: {error}") from error
        return wire.answer_of(answer.status_code, answer.content)
