"""Reading request bodies: strict JSON, exact decimals, one validation.

FastAPI would read a body with the standard library, which takes `NaN` for a number and turns every fraction
into a binary float. So handlers read here; `openapi.documented` puts the same model into the OpenAPI document.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import ClassVar, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel

from sark_opa.errors import SarkError

Model = TypeVar("Model", bound=BaseModel)

_plain = msgspec.json.Decoder()
_exact = msgspec.json.Decoder(float_hook=Decimal)


class MalformedJsonError(SarkError):
    """The body is not JSON; numbers such as NaN are none either."""

    code: ClassVar[str] = "malformed_json"
    status: ClassVar[int] = 400


async def read(request: Request, model: type[Model], *, exact: bool = False) -> Model:
    """The request's body as a validated model.

    Args:
        request: its body is read whole; the edge has bounded its size.
        model: what it has to be.
        exact: read fractions as `Decimal`, for bodies that hold money.

    Raises:
        MalformedJsonError: not JSON, nested deeper than a parser goes, or with an exponent no decimal has.
        pydantic.ValidationError: JSON, but not this model.
    """
    raw = await request.body()
    try:
        decoded = (_exact if exact else _plain).decode(raw or b"{}")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InvalidOperation) as error:
        raise MalformedJsonError(f"the body is not JSON that can be read: {error}") from error
    return model.model_validate(decoded)
