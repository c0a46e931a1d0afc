"""The OpenAPI document is whole: every reference leads somewhere, every body and answer has its shape."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sark_opa.api import application

WITHOUT_SHAPE = {"/healthz", "/readyz", "/metrics", "/v1/costs/export"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as `GET /v1/openapi.json` gives it."""
    return application.routed(SimpleNamespace()).openapi()


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """To a schema of the document itself."""
    references = set(_references(document))
    assert references
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references - known == set()


def test_every_answer_has_a_shape(document: dict[str, Any]) -> None:
    """A success names its fields, and any error is a problem."""
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            for status, response in route["responses"].items():
                content = response.get("content", {})
                if status in {"200", "201", "202"}:
                    shaped = "$ref" in str(content)
                    assert shaped != (path in WITHOUT_SHAPE), (method, path, status)
                elif status == "204":
                    assert content == {}, (method, path)
                else:
                    assert list(content) == ["application/problem+json"], (method, path, status)


def test_money_is_a_number(document: dict[str, Any]) -> None:
    """Decimals go over the wire as JSON numbers, and the document says so."""
    account = document["components"]["schemas"]["AccountFact"]["properties"]
    assert account["spent_usd"] == {"type": "number"}
    assert account["limit_usd"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
