"""The columns of an export: their order and their types, for FOCUS 1.2 and 1.4.

What each holds is worked out in SQL (`sql/functions/focus_charges_v1.sql`) and told in docs/reference/focus.md.
Sources: the FOCUS specification, 1.2 (2025-06) and 1.4 (2026-06), https://focus.finops.org.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

FocusVersion = Literal["1.2", "1.4"]
Kind = Literal["text", "money", "quantity", "instant", "count", "entry", "flag", "day"]
"""money: USD with nine decimals · quantity: one decimal · instant: `YYYY-MM-DDThh:mm:ss[.ffffff]Z` · entry: a small
whole number · count: a whole number. JSON columns are text."""

_KINDS: Final[Mapping[Kind, frozenset[str]]] = MappingProxyType(
    {
        "money": frozenset(
            {
                "BilledCost", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost", "ListUnitPrice",
                "x_EstimatedCost", "x_HeldCost",
            }
        ),
        "instant": frozenset(
            {
                "BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart", "x_ChargedAt",
                "x_RecordedAt",
            }
        ),
        "quantity": frozenset({"ConsumedQuantity", "PricingQuantity"}),
        "count": frozenset({"x_CacheReadTokens", "x_CacheWriteTokens", "x_InputTokens", "x_OutputTokens"}),
        "flag": frozenset({"x_Estimated", "x_HoldExceeded", "x_Late"}),
        "entry": frozenset({"x_Entry"}),
        "day": frozenset({"x_BudgetDay"}),
    }
)  # fmt: skip

_SHARED: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription",
    "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice",
    "PricingCategory", "PricingQuantity", "PricingUnit", "RegionId", "RegionName", "ResourceId", "ResourceName",
    "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails",
    "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
)  # fmt: skip
_OURS: Final = (
    "x_Account", "x_AccountPath", "x_BudgetDay", "x_CacheReadTokens", "x_CacheWriteTokens", "x_CapabilityId",
    "x_ChargedAt", "x_Entry", "x_EntryKind", "x_Estimated", "x_EstimatedCost", "x_HeldCost", "x_HoldExceeded",
    "x_InputTokens", "x_Late", "x_Model", "x_OutputTokens", "x_PriceRevision", "x_PrincipalId", "x_Provider",
    "x_RecordedAt", "x_RequestId", "x_ReratingId", "x_Tokens",
)  # fmt: skip
_ONLY: Final[Mapping[FocusVersion, tuple[str, ...]]] = MappingProxyType(
    {"1.2": ("ProviderName", "PublisherName"), "1.4": ("HostProviderName", "ServiceProviderName")}
)


def columns(version: FocusVersion) -> dict[str, Kind]:
    """The columns of an export in order, with what they hold: those of FOCUS by name, then ours by name."""
    kinds: dict[str, Kind] = {name: kind for kind, names in _KINDS.items() for name in names}
    return {name: kinds.get(name, "text") for name in (*sorted((*_SHARED, *_ONLY[version])), *_OURS)}


def header(version: FocusVersion) -> bytes:
    """The first line of a CSV export, as PostgreSQL writes it."""
    return ",".join(columns(version)).encode() + b"\n"
