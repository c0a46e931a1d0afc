"""docs/reference/budgets-file.md: its file is one that is taken, its tables have every key."""

from __future__ import annotations

from docs.pages import blocks, codes, read, rows, sections

from sark_opa.budget import budgets_file
from sark_opa.budget.desired import ACCOUNTS_MAX

PAGE = "docs/reference/budgets-file.md"


def test_the_file_shown_is_taken() -> None:
    """Each account stands where the page says, with what its template gives it."""
    (shown,) = blocks(PAGE, "yaml")
    accounts = {each.name: each for each in budgets_file.read({PAGE: shown.text})}
    assert {name.removeprefix("acme/"): each.parent for name, each in accounts.items()} == {
        "acme": None, "team/ml": "acme", "principal/user-123": "acme/team/ml", "principal/user-124": "acme/team/ml",
        "department/research": "acme", "team/vision": "acme/department/research",
    }  # fmt: skip
    first, second = (accounts[f"acme/principal/user-{number}"].settings for number in (123, 124))
    assert first is not None
    assert second is not None
    assert (first.daily_limit_usd, first.enforcement) == (20, "soft")
    assert (second.daily_limit_usd, second.enforcement) == (40, "soft")
    assert accounts["acme/department/research"].settings is None


def test_every_key_is_listed_and_no_other() -> None:
    """Of the file, of an account, of an org, and of a template."""
    text = sections(PAGE, "## ")["Keys"]
    listed = [codes(row[0]) for row in rows(text)]
    names = {name for names in listed for name in names}
    assert names == set(budgets_file.BudgetsFile.model_fields) | set(budgets_file.Node.model_fields)
    of_an_org = set(budgets_file.OrgNode.model_fields) - set(budgets_file.Node.model_fields)
    assert of_an_org == set(codes(text.partition("An org also takes")[2].partition(".")[0]))
    account = listed[len(budgets_file.BudgetsFile.model_fields) :]
    assert {name for names in account[:5] for name in names} == set(budgets_file.Template.model_fields)
    assert f"{ACCOUNTS_MAX:,} accounts at once" in read(PAGE)
