"""What can be wrong with a call that is to be priced."""

from __future__ import annotations

from typing import ClassVar

from sark_opa.errors import CostEstimationError


class ModelMissingError(CostEstimationError):
    """The call names no model, so no price can be found; put `model` into the arguments."""

    code: ClassVar[str] = "model_missing"


class ArgumentsInvalidError(CostEstimationError):
    """The request body is not one the provider would take; `path` names the field."""

    code: ClassVar[str] = "arguments_invalid"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}", path=path)
