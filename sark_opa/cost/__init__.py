"""Cost: what a call is expected to cost, what it cannot cost more than, and what it did cost.

`Costing` is the service's door; the estimators and `CostTracker` are the library's, in exact decimals.
"""

from sark_opa.cost.actual import ActualCost
from sark_opa.cost.costing import Costing
from sark_opa.cost.errors import ArgumentsInvalidError, ModelMissingError
from sark_opa.cost.estimate import Call, Estimate, TokenCounts
from sark_opa.cost.estimators import (
    CostEstimate,
    CostEstimator,
    FixedCostEstimator,
    InvocationRequest,
    InvocationResult,
    NoCostEstimator,
)
from sark_opa.cost.overlay import Overlay
from sark_opa.cost.overlay_file import load_overlay, parse_overlay
from sark_opa.cost.prices import PriceBook
from sark_opa.cost.provider_estimators import AnthropicCostEstimator, OpenAICostEstimator, ProviderCostEstimator
from sark_opa.cost.tracker import BudgetService, CostTracker
from sark_opa.errors import CostEstimationError, UnpricedError, UsageError

__all__ = [
    "ActualCost",
    "AnthropicCostEstimator",
    "ArgumentsInvalidError",
    "BudgetService",
    "Call",
    "CostEstimate",
    "CostEstimationError",
    "CostEstimator",
    "CostTracker",
    "Costing",
    "Estimate",
    "FixedCostEstimator",
    "InvocationRequest",
    "InvocationResult",
    "ModelMissingError",
    "NoCostEstimator",
    "OpenAICostEstimator",
    "Overlay",
    "PriceBook",
    "ProviderCostEstimator",
    "TokenCounts",
    "UnpricedError",
    "UsageError",
    "load_overlay",
    "parse_overlay",
]
