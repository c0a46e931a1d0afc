"""Asking a running service which plugins it has."""

from __future__ import annotations

from typing import Any, Final

import requests

from sark_opa.errors import UnavailableError

TIMEOUT_S: Final = 10.0


def plugins(url: str, token: str) -> list[dict[str, Any]]:
    """What a service has loaded, in the order it is asked.

    Args:
        url: of the service, such as `http://127.0.0.1:8088`.
        token: one that may read.

    Raises:
        UnavailableError: it does not answer, or not with plugins.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = requests.get(f"{url.rstrip('/')}/v1/plugins", headers=headers, timeout=TIMEOUT_S)
        body = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise UnavailableError(f"{url} does not answer with plugins: {error}") from error
    if not answer.ok:
        said = body.get("detail") if isinstance(body, dict) else None
        raise UnavailableError(f"{url} answers {answer.status_code}: {said or answer.reason}")
    found = body.get("plugins") if isinstance(body, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) and "name" in each for each in found):
        raise UnavailableError(f"{url} does not answer with plugins; is it sark-opa?")
    return found
