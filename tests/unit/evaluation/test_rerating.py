"""A charge by two price books: what differs, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from fixtures.cost import chat, costing, estimate

from sark_opa.cost import Costing
from sark_opa.cost.rerating import PriceChange
from sark_opa.evaluation.rerating import Line, Repricer, costing_of
from sark_opa.evaluation.rerating_totals import Pressure, Total, Totals
from sark_opa.storage.price_books import KeptBook
from sark_opa.storage.rerating import LimitedWindow, PresentCharge

AT = datetime(2026, 8, 15, 12, tzinfo=UTC)
OLD = """
providers: {openai: {multiplier: 0.9}}
resources:
  llm: {provider: openai, per_call_usd: 0.001}
  sms: {per_call_usd: 0.01}
  wiki: {free: true}
models:
  - {provider: openai, model: gpt-4o, until: 2026-08-01, usd_per_mtok: {input: 3, output: 12}}
  - {provider: openai, model: gpt-4o, from: 2026-08-01, usd_per_mtok: {input: 2, output: 8, cache_read: 1}}
  - {provider: rack, model: llama, usd_per_mtok: {input: 1, output: 1}}
"""
NEW = """
providers: {openai: {multiplier: 0.8}}
resources:
  llm: {provider: openai, per_call_usd: 0.002}
  sms: {per_call_usd: 0.008}
  wiki: {per_call_usd: 0.1}
models:
  - {provider: openai, model: gpt-4o, until: 2026-08-01, usd_per_mtok: {input: 3, output: 12}}
  - {provider: openai, model: gpt-4o, from: 2026-08-01, usd_per_mtok: {input: 2, output: 10, cache_read: 1}}
"""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}


def kept(text: str) -> KeptBook:
    """The book of an overlay as the database keeps it."""
    book = costing(text).book
    return KeptBook(book.revision, book.price_list, book.canonical, AT)


def charge(resource="openai", body=None, usage=None, *, book=OLD, at=AT, **changes) -> PresentCharge:
    """A charge as it was estimated and settled by a book."""
    found = estimate(resource, body or chat(max_tokens=100), overlay=book, at=at)
    usage = USAGE if usage is None else usage
    fields = {"provider": found.provider, "model": found.model, "pricing": found.pricing}
    actual = costing(book).actual(usage, **fields, at=at)
    fields |= {
        "request_id": "r1", "charged_at": at, "entry": 1, "kind": "charge", "path": ["acme/principal/ada", "acme"],
        "resource_id": resource, "usage": usage, "actual_nanousd": actual.nanousd,
        "price_revision": actual.price_revision,
    }  # fmt: skip
    return PresentCharge(**(fields | changes))


def line(present: PresentCharge, book: str | None = NEW) -> Line:
    """By the new book, with the old one kept."""
    return Repricer(costing(book), [kept(OLD), kept(NEW)]).line("acme", present)


def test_a_line_to_the_nano_dollar() -> None:
    """The arithmetic by hand, and each unit price that changed.

    Old: (600 x 2 + 400 x 1 + 100 x 8) x 0.9 = 2,160 micro-dollars; new: (600 x 2 + 400 x 1 + 100 x 10) x 0.8 = 2,080.
    """
    found = line(charge())
    assert (found.before_nanousd, found.after_nanousd, found.difference_nanousd) == (2_160_000, 2_080_000, -80_000)
    assert found.code == "differs"
    assert found.changes == (
        PriceChange("cache_read_tokens", 10**6, Decimal("0.9"), Decimal("0.8")),
        PriceChange("input_tokens", 10**6, Decimal("1.8"), Decimal("1.6")),
        PriceChange("output_tokens", 10**6, Decimal("7.2"), Decimal(8)),
    )
    assert str(found.changes[2]) == "output_tokens 7.2 → 8 USD/Mtok"


def test_a_charge_is_priced_at_its_own_time() -> None:
    """Before August both books have the same price for the model; only the provider's multiplier differs."""
    found = line(charge(at=datetime(2026, 7, 31, 23, 59, tzinfo=UTC)))
    # 600 x 3 + 400 x 1.25 (the list's) + 100 x 12 = 3,500 micro-dollars, times 0.9 and 0.8.
    assert (found.before_nanousd, found.after_nanousd) == (3_150_000, 2_800_000)


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        ("openai", None),
        ("llm", None),
        ("sms", {"to": "+49"}),
        ("wiki", {"q": 1}),
        ("rack", chat("llama", max_tokens=9)),
    ],
)
def test_by_its_own_book_nothing_differs(resource, body) -> None:
    """Whatever an estimate states for settling (multipliers, fees, flat prices), pricing anew comes to the same."""
    assert line(charge(resource, body), OLD).code == "same"


def test_a_charge_without_a_hold_stays_without_a_resources_terms() -> None:
    """It was priced by provider and model alone, and is again: the same by the same book, also with a fee on top."""
    bare = charge()
    usage_cost = costing(OLD).actual(USAGE, provider="openai", model="gpt-4o", pricing={}, at=AT)
    direct = bare._replace(resource_id="llm", pricing={}, actual_nanousd=usage_cost.nanousd)
    assert line(direct, OLD).code == "same"
    assert line(direct).after_nanousd == 2_080_000


def test_fees_and_flat_prices_are_the_new_books() -> None:
    """A fee per call, a flat price, and a resource that was free."""
    fee = line(charge("llm"))
    assert (fee.before_nanousd, fee.after_nanousd) == (2_160_000 + 1_000_000, 2_080_000 + 2_000_000)
    assert PriceChange("per_call", 1, Decimal("0.001"), Decimal("0.002")) in fee.changes
    flat = line(charge("sms", {"to": "+49"}))
    assert (flat.before_nanousd, flat.after_nanousd) == (10_000_000, 8_000_000)
    assert [str(change) for change in flat.changes] == ["per_call 0.01 → 0.008 USD"]
    free = line(charge("wiki", {"q": 1}))
    assert (free.before_nanousd, free.after_nanousd) == (0, 100_000_000)
    assert [str(change) for change in free.changes] == ["per_call - → 0.1 USD"]


@pytest.mark.parametrize(
    ("present", "code"),
    [
        (charge(kind="expiry"), "expiry"),
        (charge()._replace(usage={}), "amount_given"),
        (charge(pricing=None, actual_nanousd=1), "hold_not_kept"),
        (charge("rack", chat("llama", max_tokens=9)), "unpriced"),
        (charge()._replace(usage={"tokens": 3}), "usage_invalid"),
        (charge()._replace(pricing={"estimator": "own"}), "estimate_failed"),
    ],
)
def test_what_cannot_be_priced_anew_is_left(present, code) -> None:
    """With a code, and its amount as it is."""
    found = line(present)
    assert (found.code, found.after_nanousd, found.difference_nanousd) == (code, None, 0)


def test_a_tier_that_was_asked_for_stays() -> None:
    """Flex is priced by the list on both sides, since the contract names no price for it."""
    body = chat(max_tokens=100, service_tier="flex")
    present = charge("openai", body, usage=USAGE | {"service_tier": "flex"})
    assert present.pricing["tier"] == "flex"
    assert line(present, OLD).code == "same"


def test_an_unknown_book_is_told() -> None:
    """The amounts differ all the same; which unit prices did cannot be said."""
    found = Repricer(costing(NEW)).line("acme", charge())
    assert (found.code, found.changes, found.notes) == ("differs", (), ("book_unknown",))
    other = kept(OLD)._replace(price_list="genai-prices-0.0.1")
    assert Repricer(costing(NEW), [other]).line("acme", charge()).notes == ("book_unknown",)


def test_what_a_book_does_not_give_is_told() -> None:
    """A charge whose amount is not what its book comes to."""
    assert "not_reproduced" in line(charge(actual_nanousd=5)).notes


def test_a_charge_re_rated_before_is_compared_with_that_book() -> None:
    """Its estimate's multiplier is of the first book, its present price all of the second."""
    present = charge()
    again = present._replace(actual_nanousd=2_080_000, price_revision=costing(NEW).revision)
    found = Repricer(costing(OLD), [kept(NEW)]).line("acme", again)
    assert (found.after_nanousd, found.notes) == (2_160_000, ())
    assert PriceChange("output_tokens", 10**6, Decimal(8), Decimal("7.2")) in found.changes


def test_a_kept_book_is_the_book() -> None:
    """Read back from what is kept: the same revision, and None where the public list is another release."""
    for text in (OLD, NEW):
        again = costing_of(kept(text), costing(text).book.price_list)
        assert again is not None
        assert again.revision == costing(text).revision
    plain = KeptBook(Costing().revision, Costing().book.price_list, None, AT)
    assert costing_of(plain, plain.price_list).revision == plain.revision
    assert costing_of(plain, "genai-prices-0.0.1") is None


def test_totals_add_up() -> None:
    """By model, by reason and by code; what is left counts at what is booked."""
    totals = Totals()
    for each in (charge(), charge(), charge(kind="expiry"), charge("sms", {"to": 1})):
        totals.add(line(each))
    assert totals.differing == Total(3, 2 * 2_160_000 + 10_000_000, 2 * 2_080_000 + 8_000_000)
    assert {code: total.charges for code, total in totals.codes.items()} == {"differs": 3, "expiry": 1}
    assert {total.charges for total in totals.reasons.values()} == {1, 2}
    assert totals.codes["expiry"].difference_nanousd == 0


def test_pressure_tells_which_limits_are_passed() -> None:
    """Only running windows the charge lies in, only of its accounts, only where the lines add something."""
    day = LimitedWindow("acme", "day", AT.replace(hour=0), AT.replace(day=16, hour=0), 100, 90)
    over = line(charge(actual_nanousd=2_080_000 - 11))
    for window, told in [
        (day, [101]),
        (day._replace(limit_nanousd=101), []),
        (day._replace(starts_at=AT.replace(hour=13)), []),
        (day._replace(account="acme/team/ml"), []),
    ]:
        pressure = Pressure([window])
        pressure.add(over)
        assert [overrun.used_nanousd for overrun in pressure.overruns()] == told
        assert len(pressure.overruns([window._replace(used_nanousd=101)])) == len(told)
    cheaper = Pressure([day._replace(used_nanousd=500)])
    cheaper.add(line(charge()))
    assert cheaper.overruns() == []
