"""A budgets file that was exported says what there is: applied, it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.budget.budgets_file import read
from sark_opa.budget.export import text_of
from sark_opa.budget.ledger import Account
from sark_opa.budget.plan import plan

LIMIT = st.none() | st.integers(0, 10**18)
ZONE = st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"])
ENFORCEMENT = st.sampled_from(["hard", "soft", "warn", "shadow"])
# What YAML takes for something else than a text, and what a name may hold.
ODD = [
    "1", "1.5", "no", "null", "a: b", "#", "'", '"', "- x", "~", "0x1F", "a/b", "ä", "*x", "&y", "é\u2028",
]  # fmt: skip
ID = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
KIND = st.sampled_from(["team", "principal", "project", "null"])


@st.composite
def trees(draw: Any) -> list[Account]:
    """The accounts of one or two orgs, parents first."""
    accounts = []
    for org in draw(st.sampled_from([["acme"], ["acme", "1.0"], ["null"]])):
        names = draw(st.lists(st.tuples(KIND, ID), max_size=8, unique=True))
        made = [
            Account(
                org, None, draw(LIMIT), draw(LIMIT), draw(ZONE), draw(ENFORCEMENT), draw(ON_EXPIRY),
                draw(st.sampled_from(["create", "deny"])), draw(LIMIT), draw(LIMIT), draw(ENFORCEMENT),
            )
        ]  # fmt: skip
        for kind, own in names:
            parent = draw(st.sampled_from(made)).name
            made.append(
                Account(
                    f"{org}/{kind}/{own}", parent, draw(LIMIT), draw(LIMIT), draw(ZONE), draw(ENFORCEMENT),
                    draw(ON_EXPIRY),
                )
            )  # fmt: skip
        accounts += made
    return accounts


ON_EXPIRY = st.none() | st.sampled_from(["charge", "release"])


@given(trees())
@settings(max_examples=150, deadline=None)
def test_an_export_changes_nothing(accounts: list[Account]) -> None:
    """Whatever the tree, its names and its settings; and it states every account."""
    present = {account.name: account for account in accounts}
    made = plan(read({"export.yaml": text_of(accounts, everyone=True)}), present, prune=True)
    assert made.changes == ()
    assert {account.name for account in made.unchanged} == set(present)


@given(trees(), trees())
@settings(max_examples=100, deadline=None)
def test_applying_a_file_makes_what_it_says(before: list[Account], after: list[Account]) -> None:
    """From any tree to any other: the changes lead there, each parent is in place before what lies below it."""
    present = {account.name: account for account in before}
    made = plan(read({"export.yaml": text_of(after, everyone=True)}), present)
    for change in made.changes:
        assert change.before == present.get(change.account)
        assert change.after.parent is None or change.after.parent in present
        present[change.account] = change.after
    for account in after:
        found = present[account.name]
        if account.parent is not None:  # what counts on an org only is left as it was
            found = replace(
                found,
                unknown_principals=account.unknown_principals,
                default_daily_limit_nanousd=None,
                default_monthly_limit_nanousd=None,
                default_enforcement="hard",
            )
        assert found == account
    again = plan(read({"export.yaml": text_of(after, everyone=True)}), present)
    assert again.changes == ()


@given(trees())
@settings(max_examples=80, deadline=None)
def test_a_part_of_an_org_is_exported_as_a_part(accounts: list[Account]) -> None:
    """What lies above it is only a place, and is neither stated nor changed."""
    roots = [account for account in accounts if account.parent is not None]
    for root in roots:
        part = [account for account in accounts if account.name == root.name or _lies_below(account, root, accounts)]
        present = {account.name: account for account in part}
        desired = read({"export.yaml": text_of(part, everyone=True)})
        above = [wanted for wanted in desired if wanted.name not in present]
        assert all(wanted.settings is None for wanted in above)
        made = plan([wanted for wanted in desired if wanted.name in present], present, prune=True)
        assert made.changes == ()


def _lies_below(account: Account, root: Account, accounts: list[Account]) -> bool:
    parents = {each.name: each.parent for each in accounts}
    above: str | None = account.parent
    while above is not None and above != root.name:
        above = parents[above]
    return above == root.name
