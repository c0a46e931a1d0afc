"""Every single fault put into a good answer of the service: OPA must not allow on it.

The few changes that do no harm are listed by name; all others have to deny.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.opa import RunningOpa, Script, facts, question

TYPES = {"null": None, "boolean": True, "number": 7, "text": "seven", "array": [1], "object": {"seven": 7}}

BLOCKED = {
    "account": "acme/team/ml",
    "kind": "team",
    "window": "day",
    "limit_usd": 5,
    "remaining_usd": 0.3,
    "needed_usd": 0.8,
    "resets_at": "2026-01-02T00:00:00Z",
    "fits": {"max_tokens": 150},
    "unit": "usd",
    "limit": None,
    "remaining": None,
    "needed": None,
}
BLOCKED_BY_QUOTA = BLOCKED | {
    "limit_usd": None, "remaining_usd": None, "needed_usd": 0, "fits": None, "unit": "tokens", "limit": 100,
    "remaining": 7, "needed": 50,
}  # fmt: skip
QUOTA = {
    "account": "acme", "kind": "org", "unit": "calls", "window": "day", "limit": 10, "used": 3, "held": 1,
    "remaining": 6, "percent_used": 40, "resets_at": "2026-01-02T00:00:00Z", "enforcement": "hard",
}  # fmt: skip

INFORMATIVE = {
    "estimate.notes": "words for people",
}
"""No rule may rest on these, so they may be missing or of any type."""

NULLABLE = {
    "price_revision": "no price book may be loaded",
    "estimate.tokens": "not counted for a flat price",
    "estimate.provider": "not recognised, or none",
    "estimate.model": "not recognised, or none",
    "estimate.price_revision": "a price without a book",
    "budget.unknown": "is null unless an account is unknown",
    "budget.blocked_by": "is null unless something blocks",
}
"""Null is a value of these, with a meaning of its own."""

FREE = {
    "id": "any text",
    "age_ms": "any number",
    "degraded": "the errors say what is wrong, and they deny",
    "price_revision": "any text",
    "estimate.upper_bound_usd": "any amount from the expected one up",
    "estimate.provider": "any text",
    "estimate.model": "any text",
    "estimate.price_revision": "any text",
    "estimate.tokens": "any object",
    "budget.unknown": "any text",
    "budget.hold.id": "any text that fits into a URL",
    "budget.hold.amount_usd": "any amount",
    "budget.hold.expires_at": "any text",
}
"""Another value of the same type is another fact, not a fault. In accounts, verdicts and errors see `_is_harmless`."""

VERDICT_FREE = {"plugin", "version", "reason", "metadata", "elapsed_ms", "skipped"}
"""Of an allowing verdict; one that says it was skipped is a warning."""

ALLOWED_STATUSES = {"estimate.status": {"free", "default"}, "estimate.bound": {"closed", "window"}}


def _mutations(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    """Path, kind of change, new value: a deletion and a value of every type, for every part of `value`."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        here = (*path, key)
        yield here, "deleted", None
        for name, other in TYPES.items():
            if other != part:
                yield here, name, other
        yield from _mutations(part, here)


def _mutated(path: tuple[str | int, ...], kind: str, value: Any) -> dict[str, Any]:
    body = facts()
    parent: Any = body
    for key in path[:-1]:
        parent = parent[key]
    if kind == "deleted":
        del parent[path[-1]]
    else:
        parent[path[-1]] = copy.deepcopy(value)
    return body


def _same_type(one: object, other: object) -> bool:
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or type(one) is type(other)


def _is_harmless(path: tuple[str | int, ...], kind: str, before: Any, after: Any) -> bool:
    """Whether the answer is still whole facts that allow; the lists above say why."""
    name = ".".join(str(part) for part in path)
    if any(name == free or name.startswith(f"{free}.") for free in INFORMATIVE) or name.startswith("estimate.tokens."):
        return True
    if kind == "deleted":
        return isinstance(path[-1], int)  # a list with one entry fewer is another list
    if after is None:
        return name in NULLABLE
    if name in NULLABLE and before is None:
        return name == "budget.unknown" and isinstance(after, str)
    return _is_another_fact(path, name) and _same_type(before, after)


def _is_another_fact(path: tuple[str | int, ...], name: str) -> bool:
    in_account = path[:2] == ("budget", "accounts") and len(path) == len(("budget", "accounts", 0, "field"))
    in_verdict = path[0] == "verdicts" and path[-1] in VERDICT_FREE
    return in_account or in_verdict or name in FREE


def _at(body: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        body = body[key]
    return body


MUTATIONS = list(_mutations(facts()))


def test_there_are_enough_mutations() -> None:
    """The base answer has every part of the facts, so each is broken in every way."""
    assert len(MUTATIONS) >= 200


def test_no_single_fault_allows(opa: RunningOpa, service: Script) -> None:
    """Each mutation, one by one, through a real OPA: it denies unless it is on the list of harmless ones."""
    wrong = []
    for path, kind, value in MUTATIONS:
        service.facts(_mutated(path, kind, value))
        decision = opa.decide(question())
        expected = _is_harmless(path, kind, _at(facts(), path), value)
        if decision["allow"] is not expected or decision["allow"] is bool(decision["reasons"]):
            wrong.append((path, kind, [reason["code"] for reason in decision["reasons"]]))
    assert wrong == []


def test_no_fault_in_a_quota_allows(opa: RunningOpa, service: Script) -> None:
    """Another value of the same type is another quota; a quota with anything less is none."""
    for (field,), kind, value in _mutations(QUOTA):
        body = facts()
        body["budget"]["quotas"] = [QUOTA | {field: value}]
        if kind == "deleted":
            del body["budget"]["quotas"][0][field]
        service.facts(body)
        harmless = kind != "deleted" and field != "unit" and _same_type(QUOTA[str(field)], value)
        assert opa.decide(question())["allow"] is harmless, (field, kind)


@pytest.mark.parametrize("blocked", [BLOCKED, BLOCKED_BY_QUOTA], ids=["budget", "quota"])
def test_no_fault_in_what_blocks_allows(opa: RunningOpa, service: Script, blocked: dict[str, Any]) -> None:
    """An answer that blocks stays a denial, however its reason is broken."""
    for path, kind, value in _mutations(blocked):
        body = facts()
        body["budget"] |= {"status": "exceeded", "hold": None, "blocked_by": copy.deepcopy(blocked)}
        parent: Any = body["budget"]["blocked_by"]
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = value
        if kind == "deleted":
            del parent[path[-1]]
        service.facts(body)
        assert opa.decide(question())["allow"] is False, (path, kind)


@pytest.mark.parametrize("status", ["unpriced", "error"])
@pytest.mark.parametrize("rule", ["decision", "preview"])
def test_an_estimate_that_failed_denies_whatever_else_it_lacks(
    opa: RunningOpa, service: Script, status: str, rule: str
) -> None:
    """Not one of its other fields is needed to deny, with or without a hold."""
    for field in [None, *facts()["estimate"]]:
        body = facts()
        body["estimate"] = {"status": status} if field is None else body["estimate"] | {"status": status}
        if field is not None:
            del body["estimate"][field]
        service.facts(body)
        decision = opa.decide(question(), rule)
        assert (decision["allow"], decision["hold"]) == (False, None), field
        assert decision["reasons"] != []


@pytest.mark.parametrize("word", ["unpriced", "error", "gratis", "", "PRICED"])
def test_other_words_for_the_estimate_deny(opa: RunningOpa, service: Script, word: str) -> None:
    """Only the three statuses that know a cost can allow."""
    body = facts()
    body["estimate"]["status"] = word
    service.facts(body)
    assert opa.decide(question())["allow"] is False


@pytest.mark.parametrize(("path", "words"), ALLOWED_STATUSES.items())
def test_words_that_allow(opa: RunningOpa, service: Script, path: str, words: set[str]) -> None:
    """A free call, a default price, and a looser kind of bound are facts that may allow."""
    part, field = path.split(".")
    for word in words:
        body = facts()
        body[part][field] = word
        service.facts(body)
        assert opa.decide(question())["allow"] is True, word
