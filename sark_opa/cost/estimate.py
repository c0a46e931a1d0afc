"""What a call is expected to cost, and what it cannot cost more than."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from sark_opa.cost.demand import Basis
from sark_opa.money import ceil_nanousd

Status = Literal["priced", "free", "default", "unpriced", "error"]
Bound = Literal["exact", "closed", "window", "none"]

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be priced.

    Attributes:
        resource_id: what is called, such as `openai`.
        resource_type: such as `llm` or `tool`; None where the gateway does not say.
        capability_id: what of it, such as `chat.completions`.
        arguments: the provider's own request body.
        usage: `{input_tokens, output_tokens?}` counted by the caller, for prompts too large to send along. The input
            is taken as a limit: the prompt is not longer than that.
    """

    resource_id: str
    resource_type: str | None
    capability_id: str
    arguments: Mapping[str, Any]
    usage: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of a call; None where unknown.

    Attributes:
        input: expected.
        input_max: at most.
        output_expected: expected, over all answers asked for.
        output_max: at most, over all answers asked for.
        input_basis: exact: the model's own vocabulary · ratio: another vocabulary times a measured factor, bounded by
            bytes · declared: the caller's figure · bytes: too long to tokenize here · window: part of the input is
            out of sight, bounded by the context window · none: not billed by tokens, or unknown.
    """

    input: int | None = None
    input_max: int | None = None
    output_expected: int | None = None
    output_max: int | None = None
    input_basis: Basis = "none"


class BoundLine(NamedTuple):
    """The bound on one service tier as a function of `max_tokens`: `fixed + per_token x max_tokens`, in 10⁻²¹ USD."""

    fixed_zeptousd: int
    per_token_zeptousd: int


@dataclass(frozen=True, slots=True)
class OutputLimit:
    """How the bound follows the request's limit on its answer.

    Attributes:
        lines: one for each service tier the call can be served on.
        tokens: the limit the bound was worked out with.
        floor: the smallest limit the provider takes for this request.
    """

    lines: tuple[BoundLine, ...]
    tokens: int
    floor: int

    def largest(self, nanousd: int) -> int | None:
        """The largest limit whose bound is at most `nanousd`; None when there is none."""
        zeptousd = nanousd * _PPM * _PPM
        if any(line.fixed_zeptousd > zeptousd for line in self.lines):
            return None
        sloped = [line for line in self.lines if line.per_token_zeptousd]
        if not sloped:
            return None
        fitting = min((zeptousd - line.fixed_zeptousd) // line.per_token_zeptousd for line in sloped)
        return min(fitting, self.tokens) if fitting >= self.floor else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a call before it is made.

    Attributes:
        status: priced: by a known price · free: declared or listed as costing nothing · default: by the dearest known
            price of the provider, since the model is not listed · unpriced: no price is known, both figures are None
            · error: the call cannot be read.
        expected_nanousd: most likely cost, 10⁻⁹ USD.
        upper_bound_nanousd: what the call cannot cost more than, whatever tier, cache and answer the provider uses.
        bound: exact: it will cost exactly this · closed: by limits the request or the model's maker states ·
            window: by the model's context window · none: nothing bounds it, and the upper bound is None.
        tokens: what was counted.
        provider: id in the price list, or the overlay's.
        model: as the request names it, or the model its alias stands for.
        price_revision: `PriceBook.revision`.
        notes: machine words on how the figures came about.
        pricing: what settling needs to price the usage the same way; JSON values, kept with the hold.
        output: how the bound follows `max_tokens`; None when it does not.
    """

    status: Status
    expected_nanousd: int | None
    upper_bound_nanousd: int | None
    bound: Bound
    tokens: TokenCounts
    provider: str | None
    model: str | None
    price_revision: str
    notes: tuple[str, ...] = ()
    pricing: dict[str, Any] = field(default_factory=dict)
    output: OutputLimit | None = None

    @classmethod
    def failed(cls, *, revision: str) -> Self:
        """The estimate of a call that cannot be read."""
        return cls("error", None, None, "none", TokenCounts(), None, None, revision)

    @classmethod
    def unpriced(
        cls, *, revision: str, provider: str | None = None, model: str | None = None, note: str = "no_price"
    ) -> Self:
        """The estimate of a call nobody knows a price for."""
        return cls("unpriced", None, None, "none", TokenCounts(), provider, model, revision, (note,))

    @classmethod
    def flat(cls, nanousd: int, *, revision: str, provider: str, status: Status = "priced") -> Self:
        """The estimate of a call with a price of its own, whatever it says."""
        return cls(
            status,
            nanousd,
            nanousd,
            "exact",
            TokenCounts(),
            provider,
            None,
            revision,
            pricing={"flat_nanousd": nanousd},
        )


def nanousd_of(zeptousd: int) -> int:
    """10⁻²¹ USD (a femto-dollar price times parts per million) as nano-dollars, rounded up once."""
    return ceil_nanousd(-(-zeptousd // _PPM))


def times_ppm(first_ppm: int, second_ppm: int) -> int:
    """Two multipliers in parts per million as one, rounded up."""
    return -(-first_ppm * second_ppm // _PPM)
