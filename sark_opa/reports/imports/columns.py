"""The columns of a file of charges, by our names, and what FOCUS calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sark_opa.errors import InvalidInputError

REQUIRED: Final = ("org", "time", "principal_id", "resource_id", "capability_id", "actual_usd")
"""What every row says."""
TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
"""Counts by the names of the ledger; totals include their parts."""
OPTIONAL: Final = (
    "request_id", "team", "provider", "model", "estimated_usd", "estimated", "price_revision", *TOKENS, "tokens",
    "usage", "tags", "entry", "entry_kind",
)  # fmt: skip
COLUMNS: Final = (*REQUIRED, *OPTIONAL)
FOCUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BillingAccountId": "org",
        "x_ChargedAt": "time",
        "x_PrincipalId": "principal_id",
        "ResourceId": "resource_id",
        "x_CapabilityId": "capability_id",
        "BilledCost": "actual_usd",
        "x_RequestId": "request_id",
        "SubAccountName": "team",
        "x_Provider": "provider",
        "x_Model": "model",
        "x_EstimatedCost": "estimated_usd",
        "x_Estimated": "estimated",
        "x_PriceRevision": "price_revision",
        "x_Tokens": "tokens",
        "Tags": "tags",
        "x_Entry": "entry",
        "x_EntryKind": "entry_kind",
    }
)
"""The columns of `sark-opa cost export` that come back in; the others follow from these, or are not kept."""


class Names:
    """Which column of a file is which of ours.

    Args:
        given: theirs to ours.
        constants: values of ours that no file has.

    Raises:
        InvalidInputError: a name of ours that is none, or is given twice.
    """

    def __init__(self, given: Mapping[str, str], constants: Mapping[str, str]) -> None:
        ours = [*given.values(), *constants]
        for name in ours:
            if name not in COLUMNS:
                raise InvalidInputError(f"there is no column {name}; there are {', '.join(COLUMNS)}", path=name)
            if ours.count(name) > 1:
                raise InvalidInputError(f"the column {name} is given twice", path=name)
        self._given = given
        self.constants = dict(constants)

    def of(self, header: Sequence[str], file: str) -> dict[str, str]:
        """Theirs to ours, of those a file has; a file of `sark-opa cost export` is known by its columns.

        Raises:
            InvalidInputError: a column is there twice, or one that is needed is missing.
        """
        if len(set(header)) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise InvalidInputError(f"{file}: the column {twice} is there twice", path=twice)
        found = self.among(header)
        if missing := missing_of([*found.values(), *self.constants]):
            raise InvalidInputError(
                f"{file}: there is no column {', '.join(missing)}; name others with --map theirs=ours, or give one "
                "value for all rows with --set ours=value",
                path=missing[0],
            )
        return found

    def among(self, header: Iterable[str]) -> dict[str, str]:
        """Theirs to ours, without a look at what is missing.

        Raises:
            InvalidInputError: two of theirs are the same of ours.
        """
        names = list(header)
        known = FOCUS if {"BilledCost", "x_RequestId", "x_EntryKind"} <= set(names) else {}
        found: dict[str, str] = {}
        for name in names:
            ours = self._given.get(name) or known.get(name) or (name if name in COLUMNS else None)
            if ours is None or ours in self.constants or (name not in self._given and ours in self._given.values()):
                continue
            if ours in found.values():
                raise InvalidInputError(f"two columns are {ours}; say which with --map theirs={ours}", path=ours)
            found[name] = ours
        return found


def missing_of(ours: Iterable[str]) -> list[str]:
    """The columns that every row has to have, and that are not among these."""
    return sorted(set(REQUIRED) - set(ours))


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`theirs=ours` as a mapping.

    Raises:
        InvalidInputError: one without `=`, or a name twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.rpartition("=") if option == "map" else text.partition("=")
        if not (name and sign and value):
            raise InvalidInputError(f"--{option} {text}: give two names with an equals sign between", path=option)
        if name in found:
            raise InvalidInputError(f"--{option}: {name} is given twice", path=option)
        found[name] = value
    return found
