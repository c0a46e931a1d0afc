"""Accounts as the text of a budgets file, such that applying it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import yaml

from sark_opa.budget.ledger import Account
from sark_opa.budget.quotas import Quotas
from sark_opa.money import to_usd

_HEAD: Final = "# Written by `sark-opa budget export`.\n"


def text_of(accounts: Iterable[Account], *, everyone: bool = False) -> str:
    """The file.

    Args:
        accounts: those of whole orgs, or an account of one and all below it; in any order.
        everyone: also principals that are just as they came up: with the org's default limits, and nothing else.
    """
    known = {account.name: account for account in accounts}
    below: dict[str | None, list[Account]] = {}
    for account in known.values():
        below.setdefault(account.parent if account.parent in known else None, []).append(account)
    orgs: dict[str, Any] = {}
    for account in sorted(below.get(None, ()), key=lambda account: account.name):
        # Of a part of an org, what lies above is only a place.
        inner = orgs.setdefault(account.name.partition("/")[0], {})
        for place in (account.parent, account.name):
            if place is not None and "/" in place:
                group, key = _place(place)
                inner = inner.setdefault(group, {}).setdefault(key, {})
        inner |= _node(account, known, below, everyone=everyone) or {"timezone": account.timezone}
    return _HEAD + yaml.dump(
        {"version": 1, "orgs": orgs}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120
    )


class _Dumper(yaml.SafeDumper):
    """Writes decimals with all their digits."""


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.Node:
    tag = "int" if value == value.to_integral_value() else "float"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{tag}", f"{value:f}")


_Dumper.add_representer(Decimal, _decimal)


def _node(
    account: Account, known: Mapping[str, Account], below: Mapping[str | None, Sequence[Account]], *, everyone: bool
) -> dict[str, Any]:
    parent = known.get(account.parent or "")
    node = _settings(account, parent)
    children: dict[str, dict[str, Any]] = {}
    for child in sorted(below.get(account.name, ()), key=lambda child: child.name):
        if not everyone and child.name not in below and _came_up(child, account, known):
            continue
        group, key = _place(child.name)
        children.setdefault(group, {})[key] = _node(child, known, below, everyone=everyone)
    if children and not node:
        node["timezone"] = account.timezone  # an account that states nothing would be left out of the plan
    return node | {group: children[group] for group in ("teams", "accounts", "principals") if group in children}


def _place(name: str) -> tuple[str, str]:
    _, kind, own = name.split("/", 2)
    places = {"team": ("teams", own), "principal": ("principals", own)}
    return places.get(kind, ("accounts", f"{kind}/{own}"))


def _settings(account: Account, parent: Account | None) -> dict[str, Any]:
    node: dict[str, Any] = _limits(account.daily_limit_nanousd, account.monthly_limit_nanousd)
    if account.timezone != (parent.timezone if parent else "UTC"):
        node["timezone"] = account.timezone
    if account.enforcement != (parent.enforcement if parent else "hard"):
        node["enforcement"] = str(account.enforcement)
    if account.on_expiry is not None:
        node["on_expiry"] = str(account.on_expiry)
    if quotas := _quotas(account):
        node["quotas"] = quotas
    if account.parent is None:
        if account.unknown_principals != "deny":
            node["unknown_principals"] = str(account.unknown_principals)
        defaults = _limits(account.default_daily_limit_nanousd, account.default_monthly_limit_nanousd)
        if account.default_enforcement != "hard":
            defaults["enforcement"] = str(account.default_enforcement)
        if defaults:
            node["default_limits"] = defaults
    return node


def _quotas(account: Account) -> dict[str, Any]:
    stated = Quotas.of(account).model_dump(exclude_none=True)
    return {unit: limits for unit, limits in stated.items() if limits}


def _limits(day: int | None, month: int | None) -> dict[str, Any]:
    limits = {"daily_limit_usd": day, "monthly_limit_usd": month}
    return {name: to_usd(limit) for name, limit in limits.items() if limit is not None}


def _came_up(account: Account, parent: Account, known: Mapping[str, Account]) -> bool:
    org = known.get(account.name.partition("/")[0])
    if org is None or not account.name.startswith(f"{org.name}/principal/"):
        return False
    return account == Account(
        account.name,
        account.parent,
        org.default_daily_limit_nanousd,
        org.default_monthly_limit_nanousd,
        parent.timezone,
        org.default_enforcement,
    )
