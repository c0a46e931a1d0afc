"""The decision cases that have a `live` section, against the whole running stack.

Their accounts are made below an org no other test knows, then the question is asked of OPA as a gateway would.
"""

import copy
import itertools
from typing import Any

import pytest
import yaml
from fixtures.opa import BASE, REGO
from fixtures.stack import LiveStack

_serial = itertools.count()


def _cases() -> list[Any]:
    found = []
    for file in sorted((REGO / "cases").glob("*.yaml")):
        for topic, cases in yaml.safe_load(file.read_text()).items():
            found += [
                pytest.param(case, id=f"{topic}: {name}")
                for name, case in cases.items()
                if topic != "base" and "live" in case
            ]
    return found


def _laid_over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}


def _question(case: dict[str, Any], org: str, request_id: str, *changes: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = copy.deepcopy(BASE["input"]) | {"request_id": request_id}
    asked["principal"]["org"] = org
    for path in case.get("remove", []):
        *parents, last = path.split("/")
        part = asked
        for parent in parents:
            part = part[parent]
        part.pop(last, None)
    for change in (case.get("input", {}), *changes):
        asked = _laid_over(asked, change)
    return asked


@pytest.mark.parametrize("case", _cases())
def test_case_live(stack: LiveStack, case: dict[str, Any]) -> None:
    """The live stack decides as the case says."""
    live = case["live"]
    expected = case["expect"] | {key: live[key] for key in ("codes", "messages", "details", "warnings") if key in live}
    accounts = dict(live["accounts"])
    org = stack.new_org(**accounts.pop(""))
    for name, settings in accounts.items():
        stack.put_account(f"{org}/{name}", **({"parent": org} | settings))
    request_id = f"{org}-{next(_serial)}"
    for before in live.get("before", []):
        stack.decide(_question(case, org, request_id, before))

    decision = stack.decide(_question(case, org, request_id), case.get("rule", "decision"))

    assert [reason["code"] for reason in decision["reasons"]] == expected.get("codes", []), decision["reasons"]
    assert decision["allow"] is expected["allow"]
    assert [warning["code"] for warning in decision["warnings"]] == expected.get("warnings", [])
    assert (decision["hold"] is not None) is expected.get("held", decision["allow"])
    if decision["reasons"] and "details" not in live:
        details = decision["reasons"][0]["details"]
        path = expected.get("details", {}).get("path")
        assert path is None or details["path"] == path


def test_there_are_live_cases() -> None:
    """The sections are found."""
    assert len(_cases()) >= 20
