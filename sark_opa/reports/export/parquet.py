"""Parquet files of charges, by pyarrow, which is the extra `parquet`."""

from __future__ import annotations

import importlib
from typing import Any, Final

from sark_opa.errors import ConfigurationError
from sark_opa.reports.export.mapping import FocusVersion, Kind, columns
from sark_opa.reports.export.source import Block


class _Sink:
    """A file that keeps what was written until it is fetched. pyarrow asks it how far it is."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def fetch(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class ParquetEncoder:
    """Row groups of about `row_group_rows`, compressed by zstd. Money is decimal(38, 9), instants are UTC.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """

    media_type = "application/vnd.apache.parquet"
    in_parts = False

    def __init__(self, version: FocusVersion, row_group_rows: int) -> None:
        arrow, self._csv, parquet = _arrow()
        kinds = _kinds(arrow)
        self._schema = arrow.schema(
            [arrow.field(name, kinds[kind]) for name, kind in columns(version).items()],
            metadata={"focus_version": version},
        )
        self._arrow = arrow
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._row_group_rows = row_group_rows
        self._waiting: list[Any] = []
        self._rows = 0
        self._convert = self._csv.ConvertOptions(
            column_types=self._schema,
            null_values=[""],
            true_values=["true"],
            false_values=["false"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def begin(self) -> bytes:
        """The magic number."""
        return self._sink.fetch()

    def add(self, block: Block) -> bytes:
        """A row group when there are rows enough for one."""
        self._waiting.append(
            self._csv.read_csv(
                self._arrow.BufferReader(block.data),
                read_options=self._csv.ReadOptions(
                    column_names=self._schema.names, use_threads=False, block_size=len(block.data) + 1
                ),
                parse_options=self._csv.ParseOptions(newlines_in_values=True),
                convert_options=self._convert,
            )
        )
        self._rows += block.rows
        return self._write(self._row_group_rows)

    def _write(self, rows_min: int) -> bytes:
        if self._rows >= max(rows_min, 1):
            table = self._arrow.concat_tables(self._waiting)
            left = self._rows % rows_min
            self._writer.write_table(table.slice(0, self._rows - left), row_group_size=self._row_group_rows)
            self._waiting, self._rows = [table.slice(self._rows - left)] if left else [], left
        return self._sink.fetch()

    def end_day(self) -> bytes:
        """Nothing: days share row groups."""
        return b""

    def end(self) -> bytes:
        """The last row group and the footer."""
        rest = self._write(1)
        self._writer.close()
        return rest + self._sink.fetch()


_WIDTHS: Final = {"money": (38, 9), "quantity": (38, 1)}


def _kinds(arrow: Any) -> dict[Kind, Any]:
    return {
        "text": arrow.string(),
        "money": arrow.decimal128(*_WIDTHS["money"]),
        "quantity": arrow.decimal128(*_WIDTHS["quantity"]),
        "instant": arrow.timestamp("us", tz="UTC"),
        "count": arrow.int64(),
        "entry": arrow.int16(),
        "flag": arrow.bool_(),
        "day": arrow.date32(),
    }


def _arrow() -> tuple[Any, Any, Any]:
    try:
        return tuple(importlib.import_module(name) for name in ("pyarrow", "pyarrow.csv", "pyarrow.parquet"))  # type: ignore[return-value]  # three of them
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs pyarrow, which is not installed: pip install 'sark-opa[parquet]'"
        ) from error
