"""What turns blocks of charges into the bytes of a file: CSV, CSV with gzip, Parquet."""

from __future__ import annotations

import zlib
from typing import Final, Literal, Protocol

from sark_opa.reports.export.mapping import FocusVersion, header
from sark_opa.reports.export.source import Block

Format = Literal["csv", "csv.gz", "parquet"]
ROW_GROUP_ROWS: Final = 50_000
"""Of a Parquet file, unless told otherwise: what is kept in memory until it is written, about 50 MB."""
_GZIP_WBITS: Final = 31
_GZIP_LEVEL: Final = 4


class Encoder(Protocol):
    """One file's bytes. Its methods take a processor's time, so they belong into a thread."""

    media_type: str
    in_parts: bool
    """Whether the file may be cut after a day and continued later by another encoder."""

    def begin(self) -> bytes:
        """What stands before the first charge."""

    def add(self, block: Block) -> bytes:
        """Bytes to write now; the rest follows later."""

    def end_day(self) -> bytes:
        """What a day's charges still need to be whole."""

    def end(self) -> bytes:
        """What stands after the last charge."""


class CsvEncoder:
    """CSV as PostgreSQL writes it: UTF-8, a header, lines end with LF; null is nothing, an empty text is `""`."""

    media_type = "text/csv; charset=utf-8"
    in_parts = True

    def __init__(self, version: FocusVersion) -> None:
        self._header = header(version)

    def begin(self) -> bytes:
        """The header."""
        return self._header

    def add(self, block: Block) -> bytes:
        """The lines as they are."""
        return block.data

    def end_day(self) -> bytes:
        """Nothing."""
        return b""

    def end(self) -> bytes:
        """Nothing."""
        return b""


class GzipEncoder:
    """CSV in gzip: a member for each day, which readers take for one file. The same charges give the same bytes."""

    media_type = "application/gzip"
    in_parts = True

    def __init__(self, version: FocusVersion) -> None:
        self._header = header(version)
        self._member: zlib._Compress | None = None

    def _compress(self, data: bytes) -> bytes:
        if self._member is None:
            self._member = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
        return self._member.compress(data)

    def begin(self) -> bytes:
        """The header, in a member of its own."""
        return self._compress(self._header) + self.end_day()

    def add(self, block: Block) -> bytes:
        """What the compressor lets go of."""
        return self._compress(block.data)

    def end_day(self) -> bytes:
        """The end of the member."""
        if self._member is None:
            return b""
        rest, self._member = self._member.flush(), None
        return rest

    def end(self) -> bytes:
        """The end of the last member."""
        return self.end_day()


def encoder_of(format_: Format, version: FocusVersion, row_group_rows: int = ROW_GROUP_ROWS) -> Encoder:
    """The encoder of a new file.

    Args:
        format_: of the file.
        version: its columns.
        row_group_rows: of a Parquet file.

    Raises:
        ConfigurationError: Parquet without pyarrow.
    """
    if format_ == "csv":
        return CsvEncoder(version)
    if format_ == "csv.gz":
        return GzipEncoder(version)
    from sark_opa.reports.export.parquet import ParquetEncoder  # noqa: PLC0415  # pyarrow takes half a second to load

    return ParquetEncoder(version, row_group_rows)
