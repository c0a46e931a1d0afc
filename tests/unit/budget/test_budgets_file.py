"""A budgets file: what it may say, and the line of what it may not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sark_opa.budget.budgets_file import read
from sark_opa.errors import InvalidInputError

FILE = """
version: 1
templates:
  member: {daily_limit_usd: 5, enforcement: soft}
orgs:
  acme:
    monthly_limit_usd: 2_000.000000001
    timezone: Europe/Paris
    teams:
      ml:
        principals:
          007: {extends: member, monthly_limit_usd: null}
          eve: {extends: member, enforcement: hard}
          on:
    accounts:
      project/search: {on_expiry: release}
"""


def one(text: str) -> str:
    """What is wrong with a file."""
    with pytest.raises(InvalidInputError) as refused:
        read({"b.yaml": text})
    return refused.value.message


def test_a_tree_is_read_parents_first() -> None:
    """Names are texts whatever YAML takes them for; a place states nothing; what is empty states defaults."""
    accounts = read({"b.yaml": FILE})
    assert [(each.name.removeprefix("acme/"), each.parent) for each in accounts] == [
        ("acme", None), ("team/ml", "acme"), ("project/search", "acme"), ("principal/007", "acme/team/ml"),
        ("principal/eve", "acme/team/ml"), ("principal/on", "acme/team/ml"),
    ]  # fmt: skip
    acme, ml, search, seven, eve, on = (each.settings for each in accounts)
    assert acme is not None
    assert str(acme.monthly_limit_usd) == "2000.000000001"
    assert ml is None
    assert search is not None
    assert (search.on_expiry, search.timezone) == ("release", None)
    assert seven is not None
    assert (seven.daily_limit_usd, seven.monthly_limit_usd, seven.enforcement) == (Decimal(5), None, "soft")
    assert eve is not None
    assert eve.enforcement == "hard"
    assert on is not None
    assert on.daily_limit_usd is None


def test_several_files_make_one_tree() -> None:
    """Where only one states an account; the others name it as a place."""
    team = "version: 1\norgs: {acme: {teams: {ml: {daily_limit_usd: 1}}}}\n"
    org = "version: 1\norgs: {acme: {daily_limit_usd: 9}}\n"
    for files in ({"a": team, "b": org}, {"b": org, "a": team}):
        acme, ml = read(files)
        assert acme.settings is not None
        assert acme.settings.daily_limit_usd == 9
        assert (ml.name, ml.settings is None) == ("acme/team/ml", False)
    with pytest.raises(InvalidInputError, match="b:2: acme/team/ml is stated a second time; first at a:2"):
        read({"a": team, "b": team})
    elsewhere = "version: 1\norgs:\n  acme:\n    teams: {x: {teams: {ml: {teams: {y: }}}}}\n"
    with pytest.raises(InvalidInputError, match="acme/team/ml stands below acme/team/x, and below acme at a:2"):
        read({"a": team, "c": elsewhere})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\norgs:\n  acme:\n    daily_limit: 5\n", "b.yaml:4: orgs.acme.daily_limit: there is no such key"),
        ("version: 1\norgs:\n  acme:\n    daily_limit_usd: '5'\n", "b.yaml:4: orgs.acme.daily_limit_usd: "),
        ("version: 1\norgs:\n  acme:\n    daily_limit_usd: 1:30\n", "b.yaml:4: orgs.acme.daily_limit_usd: "),
        ("version: 1\norgs:\n  acme:\n    daily_limit_usd: 017\n", "b.yaml:4: orgs.acme.daily_limit_usd: "),
        ("version: 1\norgs:\n  acme:\n    daily_limit_usd: .inf\n", "b.yaml:4: orgs.acme.daily_limit_usd: "),
        ("version: 1\norgs:\n  acme:\n    daily_limit_usd: -1\n", "b.yaml:4: orgs.acme.daily_limit_usd: "),
        ("version: 1\norgs:\n  acme:\n    timezone: Mars/Base\n", "b.yaml:4: orgs.acme.timezone: "),
        ("version: 1\norgs:\n  acme:\n    enforcement: strict\n", "b.yaml:4: orgs.acme.enforcement: "),
        ("version: 1\norgs:\n  acme:\n    teams:\n      ml: 5\n", "b.yaml:5: orgs.acme.teams.ml: "),
        ("version: 1\norgs:\n  acme:\n    teams:\n      ml: {default_limits: {}}\n", "b.yaml:5: "),
        ("version: 1\norgs:\n  acme:\n    teams:\n      ml: {extends: none}\n", "b.yaml:5: no template is called"),
        ("version: 1\norgs:\n  acme: {}\n  acme: {}\n", "b.yaml:4: acme stands here a second time"),
        ("version: 1\norgs:\n  a/b: {}\n", "b.yaml:3: 'a/b' is no name of an account"),
        ("version: 1\norgs:\n  acme:\n    accounts:\n      X/y: {}\n", "b.yaml:5: 'acme/X/y' is no name"),
        ("version: 1\norgs:\n  acme: &x {}\n  other: *x\n", "b.yaml:4: aliases such as *x are not taken"),
        ("version: 1\norgs:\n  acme: [\n", "b.yaml:"),
        ("version: 1\norgs:\n  ? [a]\n  : {}\n", "b.yaml:3: a key is a text"),
        ("version: 2\norgs: {acme: {}}\n", "b.yaml:1: version: "),
        ("orgs: {acme: {}}\n", "b.yaml:1: version: "),
        ("version: 1\norgs: {}\n", "b.yaml: no org is stated"),
        ("- 1\n", "b.yaml:1: a budgets file is a mapping"),
        ("", "b.yaml:1: a budgets file is a mapping"),
        ("\x00", "b.yaml: it is no YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    """File, line, place and reason."""
    assert one(text).startswith(said)


def test_every_fault_is_told() -> None:
    """A line each."""
    told = one("version: 1\norgs:\n  acme:\n    limit: 5\n    teams:\n      ml:\n        daily_limit_usd: x\n")
    assert [line.partition(": ")[0] for line in told.splitlines()] == ["b.yaml:7", "b.yaml:4"]


def test_one_account_in_two_groups_is_told() -> None:
    """`teams` and `accounts` can name the same one."""
    text = "version: 1\norgs:\n  acme:\n    teams:\n      ml: {}\n    accounts:\n      team/ml: {}\n"
    assert one(text) == "b.yaml:7: acme/team/ml is stated a second time; first at b.yaml:5"
