"""Re-rating: what charges would have cost by another price book, line by line, and booking that.

A charge is priced anew by its own stored usage, at the instant it was made, on the service tier and in the region it
asked for. What was booked stays as it is: the ledger gets a reversal of it and a new charge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sark_opa.cost import ActualCost, Costing, Overlay
from sark_opa.cost.readings import Reading
from sark_opa.cost.rerating import PriceChange, price_changes
from sark_opa.cost.usage import read_usage
from sark_opa.errors import CostEstimationError, InvalidInputError
from sark_opa.storage.audit import Actor, Event
from sark_opa.storage.price_books import KeptBook
from sark_opa.storage.rerating import NewPrice, PresentCharge, Reratings, Selection

BATCH_ROWS: Final = 500
"""Charges booked in one transaction, which holds the org's counter for some milliseconds."""


_Usage = dict[str, Any] | Reading


@dataclass(frozen=True, slots=True)
class Line:
    """One charge by both books.

    Attributes:
        org: whose.
        request_id: of the charge.
        charged_at: the instant it is priced at.
        entry: its present entry.
        path: the accounts it counts in, leaf to org.
        resource_id: what was called.
        provider: as it was charged.
        model: the same.
        price_revision: the book it was priced by; None for an amount that was given.
        before_nanousd: what is booked, 10⁻⁹ USD.
        after_nanousd: by the new book; None where it cannot be priced anew.
        code: `same` · `differs` · `booked` · `changed`: it has another entry by now, so it was left · why it cannot be
            priced anew: `expiry` (charged when its hold expired: no usage is known), `amount_given` (no usage was
            stated), `hold_not_kept` (what it was estimated by is not known any more), `unpriced`, `usage_invalid`,
            `estimate_failed` (an estimator of the operator's own priced it).
        changes: the unit prices that differ.
        notes: machine words on how the new amount came about; `book_unknown` where the old book is not kept, so that
            no unit price can be compared, `not_reproduced` where it does not give what was booked.
    """

    org: str
    request_id: str
    charged_at: datetime
    entry: int
    path: Sequence[str]
    resource_id: str
    provider: str | None
    model: str | None
    price_revision: str | None
    before_nanousd: int
    after_nanousd: int | None
    code: str
    changes: tuple[PriceChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def difference_nanousd(self) -> int:
        """After minus before; 0 where it cannot be priced anew."""
        return 0 if self.after_nanousd is None else self.after_nanousd - self.before_nanousd


class Repricer:
    """Prices charges by one book, and says how that differs from the books they were priced by.

    Args:
        costing: the new book.
        books: those that are kept; what a charge names and is not among them cannot be compared.
    """

    def __init__(self, costing: Costing, books: Iterable[KeptBook] = ()) -> None:
        self._costing = costing
        self._kept = {book.revision: book for book in books}
        self._by_revision: dict[str, Costing | None] = {costing.revision: costing}

    @property
    def revision(self) -> str:
        """Of the new book."""
        return self._costing.revision

    def line(self, org: str, charge: PresentCharge) -> Line:
        """The charge by both books."""
        line = Line(
            org, charge.request_id, charge.charged_at, charge.entry, charge.path, charge.resource_id, charge.provider,
            charge.model, charge.price_revision, charge.actual_nanousd, None, "same",
        )  # fmt: skip
        if charge.kind != "charge":
            return replace(line, code="expiry")
        if not charge.usage:
            return replace(line, code="amount_given")
        if charge.pricing is None:
            return replace(line, code="hold_not_kept")
        try:
            usage = _usage(charge)
            after = _anew(self._costing, charge, usage)
        except CostEstimationError as error:
            return replace(line, code=error.code)
        if after.nanousd == charge.actual_nanousd:
            return replace(line, after_nanousd=after.nanousd)
        changes, note = self._why(charge, usage, after)
        return replace(line, after_nanousd=after.nanousd, code="differs", changes=changes, notes=(*after.notes, *note))

    def _why(
        self, charge: PresentCharge, usage: _Usage, after: ActualCost
    ) -> tuple[tuple[PriceChange, ...], tuple[str, ...]]:
        costing = self._costing_of(charge.price_revision)
        if costing is None:
            return (), ("book_unknown",)
        try:
            before = _as_settled(costing, charge, usage)
            if before.nanousd != charge.actual_nanousd:  # re-rated before, so by all of that book
                before = _anew(costing, charge, usage)
        except CostEstimationError:
            return (), ("not_reproduced",)
        note = () if before.nanousd == charge.actual_nanousd else ("not_reproduced",)
        return price_changes(before.rates, after.rates), note

    def _costing_of(self, revision: str | None) -> Costing | None:
        if revision is None:
            return None
        if revision not in self._by_revision:
            kept = self._kept.get(revision)
            self._by_revision[revision] = None if kept is None else costing_of(kept, self._costing.book.price_list)
        return self._by_revision[revision]


def costing_of(book: KeptBook, installed: str) -> Costing | None:
    """Costing by a kept book; None when its public list is not the one that is installed."""
    if book.price_list != installed:
        return None
    return Costing(None if book.overlay is None else Overlay.of_canonical(book.overlay))


def _usage(charge: PresentCharge) -> _Usage:
    """The usage, read once for both books; of a flat price it may be of no known shape."""
    return charge.usage if "flat_nanousd" in (charge.pricing or ()) else read_usage(charge.usage, charge.provider)


def _as_settled(costing: Costing, charge: PresentCharge, usage: _Usage) -> ActualCost:
    return costing.actual(
        usage, provider=charge.provider, model=charge.model, pricing=charge.pricing or {}, at=charge.charged_at
    )


def _anew(costing: Costing, charge: PresentCharge, usage: _Usage) -> ActualCost:
    pricing = costing.pricing_anew(
        charge.pricing or {},
        resource_id=charge.resource_id,
        provider=charge.provider,
        model=charge.model,
        at=charge.charged_at,
    )
    return costing.actual(usage, provider=charge.provider, model=charge.model, pricing=pricing, at=charge.charged_at)


@dataclass(frozen=True, slots=True)
class Application:
    """That new prices shall be booked: who says so, and why. `rerating_id` is used unless one is open."""

    author: str
    reason: str
    rerating_id: str


@dataclass(slots=True)
class Booked:
    """What a run has booked. `charges` and `difference_nanousd` are of the whole re-rating, also its earlier runs."""

    rerating_id: str | None = None
    resumed: bool = False
    charges: int = 0
    difference_nanousd: int = 0


class Rerating:
    """Prices an org's charges anew, and books that when it is asked to. Any number may run beside live traffic."""

    def __init__(self, store: Reratings, repricer: Repricer, *, batch_rows: int = BATCH_ROWS) -> None:
        self._store = store
        self._repricer = repricer
        self._batch_rows = batch_rows
        self.booked = Booked()

    async def lines(
        self, org: str, selection: Selection, application: Application | None = None
    ) -> AsyncGenerator[list[Line], None]:
        """Each selected charge by both books, in order of time; with an `application`, after it was booked.

        What was booked is in `booked` at the end. To run it again after it was interrupted completes it: a charge that
        has its new price already is `same` then.

        Raises:
            InvalidInputError: the span of time is empty.
        """
        until_at = selection.until_at or datetime.now(UTC)
        if selection.from_at >= until_at:
            raise InvalidInputError("the span of time is empty: its end is not after its beginning", path="until")
        self.booked = Booked()
        if application is not None:
            self.booked.rerating_id = await self._store.open(org, self._repricer.revision, selection)
            self.booked.resumed = self.booked.rerating_id is not None
        booking: asyncio.Task[list[Line]] | None = None
        try:
            async with aclosing(self._store.present_charges(org, selection, until_at)) as chunks:
                async for charges in chunks:
                    # On another thread, while the database books the charges before these.
                    lines = await asyncio.to_thread(self._priced, org, charges)
                    if application is None:
                        yield lines
                        continue
                    if booking is not None:
                        yield await booking
                    booking = asyncio.create_task(self._book(org, selection, lines, application))
            if booking is not None:
                yield await booking
        finally:
            if booking is not None:
                booking.cancel()  # nothing, when it is done
        if application is not None and self.booked.rerating_id is not None:
            event = self._event("finish", org, selection, application)
            self.booked.charges, self.booked.difference_nanousd = await self._store.finish(
                org, self.booked.rerating_id, event
            )

    def _priced(self, org: str, charges: list[PresentCharge]) -> list[Line]:
        return [self._repricer.line(org, charge) for charge in charges]

    async def _book(self, org: str, selection: Selection, lines: list[Line], application: Application) -> list[Line]:
        differing = [line for line in lines if line.code == "differs"]
        if differing and self.booked.rerating_id is None:
            self.booked.rerating_id = application.rerating_id
            self.booked.rerating_id = await self._store.begin(
                org, application.rerating_id, self._repricer.revision, selection, reason=application.reason,
                event=self._event("begin", org, selection, application),
            )  # fmt: skip
        codes: dict[str, Literal["booked", "changed"]] = {}
        for start in range(0, len(differing), self._batch_rows):
            prices = [
                NewPrice(line.request_id, line.charged_at, line.entry, line.after_nanousd or 0)
                for line in differing[start : start + self._batch_rows]
            ]
            codes |= await self._store.book(org, self.booked.rerating_id or "", self._repricer.revision, prices)
        return [replace(line, code=codes[line.request_id]) if line.request_id in codes else line for line in lines]

    def _event(self, step: str, org: str, selection: Selection, application: Application) -> Event:
        details = {
            "rerating_id": self.booked.rerating_id,
            "price_revision": self._repricer.revision,
            "reason": application.reason,
            "selection": selection.json(),
        }
        return Event(Actor(application.author, "owner"), f"rerating.{step}", org, details=details)
