"""Spend statements: making ours, handing them out, taking those of the peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from sark_opa.errors import FederationChangedPastError, FederationError, FederationUnavailableError, SarkError
from sark_opa.federation.documents import Entry, Pull, Statement, checked_period, entry_row, text_of
from sark_opa.federation.envelope import Signed
from sark_opa.federation.membership import Peer
from sark_opa.federation.store import Appended, Chain, FederationStore, Figure
from sark_opa.federation.voice import Voice

PAGE: Final = 100
"""Statements that are handed out at once."""
_PAGE_BYTES_MAX: Final = 4 * 2**20
"""Of what is handed out at once, if it is more than one statement."""
_DAY: Final = timedelta(days=1)


class StatementPage(msgspec.Struct, frozen=True):
    """What `GET /v1/federation/statements` answers: envelopes in order, and the number of the last one there is."""

    statements: list[msgspec.Raw]
    last: int


class Exchange:
    """Our chains of statements and the peers'.

    Args:
        voice: our signature, the peers, our clock.
        store: where statements are kept.
    """

    def __init__(self, voice: Voice, store: FederationStore) -> None:
        self._voice = voice
        self._store = store

    async def publish(self, peer: Peer) -> int:
        """State what has changed since the last time; how many days that were.

        A day is stated while it runs, too: each statement of it replaces the one before.
        """
        member = self._voice.membership.member
        chain = await self._store.chain(member, peer.name)
        touched = await self._store.touched(peer.name, chain.looked_at_xid)
        stated = 0
        for day in touched.days:
            found = await self._store.figures(day, day + _DAY, peer.name)
            known = await self._store.stated([member], [peer.name], day, day + _DAY)
            if _sums(found) == _sums(known):
                continue
            answer, chain = await self._state(peer, chain, day, found)
            if answer == "stale":  # another process of ours is at it
                return stated
            stated += 1
        await self._store.looked(member, peer.name, touched)
        return stated

    async def page(self, pull: Signed[Pull], after: int) -> StatementPage:
        """Our statements for a peer after the one it names, which has to be the one it signed for.

        Raises:
            FederationError: it signed for another one.
        """
        member, peer = self._voice.membership.member, pull.document.issuer
        if pull.document.after != after:
            raise FederationError(f"after={after}, but signed is {pull.document.after}")
        chain = await self._store.chain(member, peer)
        envelopes = await self._store.page(member, peer, after=after, limit=PAGE)
        sizes = itertools.accumulate(map(len, envelopes))
        fitting = [msgspec.Raw(each) for each, size in zip(envelopes, sizes, strict=True) if size <= _PAGE_BYTES_MAX]
        return StatementPage(fitting or [msgspec.Raw(each) for each in envelopes[:1]], chain.sequence)

    async def receive(self, envelope: bytes) -> tuple[Statement, Appended]:
        """Take a peer's statement. Twice is once; one that comes early waits for those before it.

        Raises:
            FederationSignatureError: it is not signed by its issuer.
            FederationClockError: it is from the future.
            FederationChangedPastError: it contradicts what its issuer signed before; it is kept as evidence.
            FederationError: it is no statement for us, its period is none, or it is not the next revision of its day.
        """
        signed = self._voice.heard(envelope, Statement, lasting=True)
        statement = signed.document
        tolerance_s = self._voice.membership.clock_tolerance_s
        checked_period(statement, now=self._voice.now(), tolerance_s=tolerance_s)
        answer = await self._append(signed, own=False)
        name = f"statement {statement.sequence} of {statement.issuer}"
        match answer:
            case "changed_past":
                raise FederationChangedPastError(
                    f"{name} contradicts what {statement.issuer} signed before; both are kept, and it is not taken",
                    issuer=statement.issuer,
                    sequence=statement.sequence,
                )
            case "wrong_revision":
                raise FederationError(
                    f"{name} is revision {statement.revision} of {statement.period}, not the next one"
                )
            case "too_far":
                raise FederationError(f"{name} is more than 1000 ahead of the last one that was taken")
        return statement, answer

    async def pull(self, peer: Peer, progress: Callable[[int, int], None] | None = None) -> int:
        """Fetch what a peer has stated since the last time; how many statements were taken.

        Args:
            peer: whom to ask.
            progress: told the number that was taken last and the last one there is.

        Raises:
            FederationUnavailableError: the peer does not answer.
            SarkError: as `receive`, for the first statement that is not taken; it is remembered as the peer's problem.
        """
        member, taken, last = self._voice.membership.member, 0, 0
        try:
            while True:
                after = (await self._store.chain(peer.name, member)).sequence
                page = await self._fetch(peer, after)
                last = max(last, page.last)
                for envelope in page.statements:
                    statement, answer = await self.receive(bytes(envelope))
                    taken += answer == "applied"
                    if progress is not None:
                        progress(statement.sequence, last)
                if not page.statements or (await self._store.chain(peer.name, member)).sequence <= after:
                    break
        except SarkError as error:
            await self._pulled(peer, last, None, f"{error.code}: {error.message}")
            raise
        await self._pulled(peer, last, self._voice.now(), None)
        return taken

    async def _pulled(self, peer: Peer, seen: int, pulled_at: datetime | None, problem: str | None) -> None:
        await self._store.pulled(
            peer.name,
            self._voice.membership.member,
            seen=seen,
            pulled_at=pulled_at,
            problem=problem,
            now=self._voice.now(),
        )

    async def _fetch(self, peer: Peer, after: int) -> StatementPage:
        pull = self._voice.signed(Pull, peer.name, after=after)
        content = await self._voice.link.statements(peer, pull.envelope, after)
        try:
            return msgspec.json.decode(content, type=StatementPage)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise FederationUnavailableError(f"{peer.name} answers no page of statements: {error}") from error

    async def _state(self, peer: Peer, chain: Chain, day: date, found: list[Figure]) -> tuple[Appended, Chain]:
        member = self._voice.membership.member
        start = datetime.combine(day, time.min, UTC)
        signed = self._voice.signed(
            Statement,
            peer.name,
            sequence=chain.sequence + 1,
            previous=chain.digest,
            period_start=start,
            period_end=start + _DAY,
            revision=await self._store.revision(member, peer.name, day) + 1,
            entries=tuple(map(_entry, found)),
        )
        answer = await self._append(signed, own=True)
        return answer, chain._replace(sequence=chain.sequence + 1, digest=signed.digest)

    async def _append(self, signed: Signed[Statement], *, own: bool) -> Appended:
        statement = signed.document
        return await self._store.append(
            {
                "issuer": statement.issuer,
                "audience": statement.audience,
                "sequence": statement.sequence,
                "digest": signed.digest,
                "previous": statement.previous,
                "period": statement.period,
                "revision": statement.revision,
                "issued_at": statement.issued_at,
                "entries": [entry_row(entry) for entry in statement.entries],
            },
            signed.envelope,
            own=own,
        )


def _sums(figures: list[Figure]) -> dict[tuple[str, str], tuple[int, ...]]:
    return {(figure.direction, figure.alias): tuple(figure[5:]) for figure in figures}


def _entry(figure: Figure) -> Entry:
    return Entry(
        direction=figure.direction,
        alias=figure.alias,
        charges=figure.charges,
        amount_usd=text_of(figure.amount_nanousd),
        input_tokens=str(figure.input_tokens),
        output_tokens=str(figure.output_tokens),
        cache_read_tokens=str(figure.cache_read_tokens),
        cache_write_tokens=str(figure.cache_write_tokens),
    )
