"""Rows of files, one after the other, in little memory: CSV and JSON lines, plain or with gzip, and Parquet."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, Literal, cast, get_args

import msgspec

from sark_opa.errors import ConfigurationError, InvalidInputError
from sark_opa.reports.imports.columns import Names, missing_of
from sark_opa.reports.imports.rows import Record
from sark_opa.reports.imports.values import FaultError

Format = Literal["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]
STDIN: Final = "-"
_ENDINGS: Final = (*((f".{name}", name) for name in get_args(Format)), (".ndjson", "jsonl"), (".ndjson.gz", "jsonl.gz"))
_ROWS_TOGETHER: Final = 2_000
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


def format_of(file: str) -> Format:
    """What a file is, by its ending.

    Raises:
        InvalidInputError: the ending says nothing.
    """
    for ending, name in _ENDINGS:
        if file.lower().endswith(ending):
            return cast("Format", name)
    raise InvalidInputError(
        f"{file}: its name does not say what it is; give --format {', '.join(get_args(Format))}", path="format"
    )


def records(file: str, format_: Format, names: Names) -> Iterator[Record]:
    """The rows of a file, in order; a row that cannot be read has its fault with it.

    Args:
        file: its path, or `-` for standard input.
        format_: what it is.
        names: of its columns.

    Raises:
        InvalidInputError: it cannot be opened or read as what it is said to be, or lacks a column.
        ConfigurationError: Parquet without pyarrow.
    """
    with _told(file):
        if format_ == "parquet":
            yield from _parquet(file, names)
            return
        with _opened(file, packed=format_.endswith(".gz")) as stream:
            yield from (_csv if format_.startswith("csv") else _json_lines)(stream, file, names)


@contextmanager
def _told(file: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{file}: {getattr(error, 'strerror', None) or error}", path=file) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file}: is not UTF-8 ({error.reason})", path=file) from error


@contextmanager
def _opened(file: str, *, packed: bool) -> Iterator[IO[bytes]]:
    stream: IO[bytes] = sys.stdin.buffer if file == STDIN else Path(file).open("rb")  # noqa: SIM115  # closed below
    try:
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
    finally:
        if file != STDIN:
            stream.close()


def _csv(stream: IO[bytes], file: str, names: Names) -> Iterator[Record]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise InvalidInputError(f"{file}: has no header", path=file)
        ours = list(names.of(header, file).items())
        places = [(header.index(theirs), name) for theirs, name in ours]
        begins, number = reader.line_num + 1, 0
        for values in reader:
            if values:
                number += 1
                if len(values) == len(header):
                    found = {name: values[place] for place, name in places} | names.constants
                    yield Record(number, begins, found, (header, values))
                else:
                    fault = FaultError("row", f"has {len(values)} values, the header {len(header)}")
                    yield Record(number, begins, {}, (header, values), fault)
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInputError(f"{file}: line {reader.line_num}: {error}", path=file) from error
    finally:
        text.detach()


def _json_lines(stream: IO[bytes], file: str, names: Names) -> Iterator[Record]:
    del file
    keys: tuple[str, ...] = ()
    ours: dict[str, str] = {}
    number = 0
    for line, data in enumerate(stream, 1):
        if not data.strip():
            continue
        number += 1
        try:
            row = _decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            yield Record(number, line, {}, data.decode(errors="replace"), FaultError("row", "is no JSON"))
            continue
        if not isinstance(row, dict):
            yield Record(number, line, {}, row, FaultError("row", "is no JSON object"))
            continue
        if (present := tuple(row)) != keys:
            try:
                keys, ours = present, names.among(present)
            except InvalidInputError as error:
                keys = ()
                yield Record(number, line, {}, row, FaultError("row", error.message))
                continue
        found = {name: row[theirs] for theirs, name in ours.items()} | names.constants
        if missing := missing_of(found):
            yield Record(number, line, {}, row, FaultError(missing[0], "is missing"))
        else:
            yield Record(number, line, found, row)


def _parquet(file: str, names: Names) -> Iterator[Record]:
    if file == STDIN:
        raise InvalidInputError("a Parquet file cannot be read from standard input; give its name", path="format")
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs pyarrow, which is not installed: pip install 'sark-opa[parquet]'"
        ) from error
    try:
        with parquet.ParquetFile(file) as opened:
            ours = names.of(opened.schema_arrow.names, file)
            number = 0
            for batch in opened.iter_batches(batch_size=_ROWS_TOGETHER, columns=list(ours)):
                for row in batch.to_pylist():
                    number += 1
                    found = {name: _plain(row[theirs]) for theirs, name in ours.items()} | names.constants
                    yield Record(number, number, found, row)
    except arrow.ArrowException as error:
        raise InvalidInputError(f"{file}: {str(error).splitlines()[0]}", path=file) from error


def _plain(value: Any) -> Any:
    # A map column, such as of tags, comes as pairs.
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):  # noqa: PLR2004
        return dict(value)
    return value
