"""From a row of a file to a line of COPY: every value checked, money exact, times with their zone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sark_opa.reports.imports.values import (
    ID_MAX,
    FaultError,
    count_of,
    escaped,
    flag_of,
    json_text,
    nanousd_or_none,
    tags_of,
    text_or_none,
    time_of,
    tokens_of,
    usage_of,
)

_ORG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REQUEST_ID_MAX: Final = 128
_ENTRY_MAX: Final = 30_000
_ENTRY_KINDS: Final = frozenset({"charge", "expiry", "reversal"})
_SUBJECTS_MAX: Final = 200_000


class Record(NamedTuple):
    """A row as it was read.

    Attributes:
        number: which one of its file, from 1.
        line: where it stands in its file, from 1; of a Parquet file its number.
        values: by our names; None or an empty text where there is nothing.
        row: as it was, for whoever has to mend it; a pair of lists is names and values.
        fault: why it could not be read.
    """

    number: int
    line: int
    values: Mapping[str, Any]
    row: Any = None
    fault: FaultError | None = None


class _Subject(NamedTuple):
    """Whom a row is about, and what: its number, what of it goes into the digest of a row, and the provider."""

    number: int
    text: str
    provider: str | None


class Lines:
    """Makes lines of COPY of records: those of rows at once, those of subjects at the end.

    Args:
        now: the database's clock; nothing is later.
        elsewhere: orgs that live in another database.
    """

    def __init__(self, now: datetime, elsewhere: frozenset[str] = frozenset()) -> None:
        self._now = now
        self._elsewhere = elsewhere
        self._subjects: dict[tuple[Any, ...], _Subject] = {}
        self._subject_lines: list[bytes] = []
        self.several_entries = False
        """Whether a row is a later entry of its request."""

    def subjects(self) -> Iterator[bytes]:
        """Whom and what the rows were about."""
        return iter(self._subject_lines)

    def line(self, file: int, record: Record) -> bytes:
        """One row, as a line of COPY.

        Raises:
            FaultError: a value cannot be.
        """
        if record.fault is not None:
            raise record.fault
        values = record.values
        subject = self._subject(values)
        usage = values.get("usage")
        usage_text, usage_object = ("{}", {}) if usage is None or usage == "" else usage_of(usage)
        revision = text_or_none(values, "price_revision", ID_MAX)
        tags = values.get("tags")
        entry, kind = self._entry(values) if values.get("entry") or values.get("entry_kind") else (1, "charge")
        # A reversal is never booked itself, only the present entry of a request is.
        actual = 0 if kind == "reversal" else nanousd_or_none(values, "actual_usd")
        if actual is None:
            raise FaultError("actual_usd", "is missing")
        fields = "\t".join(
            (
                time_of(values.get("time"), self._now).isoformat(),
                tokens_of(values, usage_object, subject.provider),
                usage_text,
                str(nanousd_or_none(values, "estimated_usd") or 0),
                str(actual),
                "\\N" if revision is None else escaped(revision),
                "t" if flag_of(values.get("estimated")) else "f",
                "{}" if tags is None or tags == "" else tags_of(tags),
            )
        )
        body = f"{subject.text}\t{fields}".encode()
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        request_id = text_or_none(values, "request_id", _REQUEST_ID_MAX)
        if request_id is None:  # the same row at the same place of a file gets the same
            request_id = "import-" + hashlib.blake2b(b"%d %b" % (record.number, body), digest_size=16).hexdigest()
        place = f"{file}\t{record.line}\t{subject.number}\t{escaped(request_id)}\t{entry}\t{kind}"
        return f"{place}\t{fields}\t\\\\x{digest}\n".encode()

    def _subject(self, values: Mapping[str, Any]) -> _Subject:
        raw = tuple(map(values.get, _SUBJECT))
        try:
            known = self._subjects.get(raw)
        except TypeError:  # a list or an object where there should be a text
            known = None
        if known is not None:
            return known
        key = tuple(text_or_none(values, name, ID_MAX) for name in _SUBJECT)
        org, principal, _, resource, capability, provider, model = key
        for name, value in (("org", org), ("principal_id", principal), ("resource_id", resource),
                            ("capability_id", capability)):  # fmt: skip
            if value is None:
                raise FaultError(name, "is missing")
        if not _ORG.fullmatch(org or ""):
            raise FaultError("org", "is no name of an org: letters, digits, . _ -, at most 64")
        if org in self._elsewhere:
            raise FaultError("org", f"{org} lives in another database; import it there")
        attribution = {"principal_id": principal, "resource_id": resource, "capability_id": capability,
                       "provider": provider, "model": model}  # fmt: skip
        number = len(self._subject_lines)
        stated = json_text({name: value for name, value in attribution.items() if value is not None}, "model")
        fields = ["\\N" if value is None else escaped(value) for value in key]
        account = escaped(f"{org}/principal/{principal}")
        self._subject_lines.append("\t".join([str(number), *fields, account, stated]).encode() + b"\n")
        if len(self._subjects) >= _SUBJECTS_MAX:  # only a memory: the same again gets another number
            self._subjects.clear()
        found = self._subjects[raw] = _Subject(number, f"{fields[0]}\t{stated}", provider)
        return found

    def _entry(self, values: Mapping[str, Any]) -> tuple[int, str]:
        entry = count_of(values.get("entry"), "entry") or 1
        kind = text_or_none(values, "entry_kind", ID_MAX) or "charge"
        if entry > _ENTRY_MAX:
            raise FaultError("entry", "is no number of an entry")
        if kind not in _ENTRY_KINDS:
            raise FaultError("entry_kind", "is none of charge, expiry, reversal")
        self.several_entries |= entry > 1
        return entry, kind


_SUBJECT: Final = ("org", "principal_id", "team", "resource_id", "capability_id", "provider", "model")
