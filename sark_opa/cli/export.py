"""`sark-opa cost export` and `cost publish`: charges as FOCUS files, from the database."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from sark_opa.cli import errors
from sark_opa.cli.administration import url_of
from sark_opa.cli.options import DatabaseUrl
from sark_opa.errors import ConfigurationError, ExportError, InvalidInputError
from sark_opa.reports.export import files
from sark_opa.reports.export import publish as publishing
from sark_opa.reports.export.encoders import ROW_GROUP_ROWS, Format, encoder_of
from sark_opa.reports.export.export import Export
from sark_opa.reports.export.mapping import FocusVersion
from sark_opa.reports.export.publish import Plan
from sark_opa.reports.export.request import ExportRequest, request_of
from sark_opa.reports.export.source import Charges, Snapshot, charges_of
from sark_opa.reports.export.targets import target_of


def export(
    org: Annotated[str | None, typer.Option(help="Whose charges; every org's by default.")] = None,
    starts: Annotated[
        str | None,
        typer.Option("--from", help="First day (2026-11-01) or instant (RFC 3339); by default the last month's start."),
    ] = None,
    ends: Annotated[str | None, typer.Option("--to", help="First day or instant left out; now by default.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA zone of days and billing periods; by default the org's own.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only what was charged below this account.")] = None,
    format_: Annotated[Literal["csv", "csv.gz", "parquet"], typer.Option("--format", help="Of the files.")] = "csv",
    focus_version: Annotated[FocusVersion, typer.Option(help="Which version's columns.")] = "1.2",
    output: Annotated[
        Path | None, typer.Option(help="The file, or with --by-day the folder; standard output by default.")
    ] = None,
    by_day: Annotated[
        bool, typer.Option("--by-day", help="One file a day, and a manifest.json with checksums.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an export to the same output broke off.")
    ] = False,
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="An apostrophe before what a spreadsheet takes for a formula.")
    ] = False,
    row_group_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Rows of a Parquet row group, which are kept in memory.")
    ] = ROW_GROUP_ROWS,
    database_url: DatabaseUrl = None,
) -> None:
    """Write charges as a FOCUS data set: CSV or Parquet, as of now, whole or not at all."""
    if output is None and (by_day or resume):
        raise ConfigurationError("--by-day and --resume need --output")
    asked = request_of(
        org=org,
        starts=starts,
        ends=ends,
        timezone=timezone,
        within=() if account is None else (account,),
        focus_version=focus_version,
        escape_formulas=escape_formulas,
    )
    encoder_of(format_, focus_version)  # whether it can be made at all
    url = url_of(database_url)
    if output is None:
        asyncio.run(_to_stdout(url, asked, format_, row_group_rows))
    else:
        asyncio.run(_to_files(url, asked, format_, output, by_day=by_day, resume=resume, row_group_rows=row_group_rows))


async def _to_stdout(url: str, asked: ExportRequest, format_: Format, row_group_rows: int) -> None:
    if sys.stdout.isatty() and format_ != "csv":
        raise InvalidInputError(f"a {format_} file is not for a terminal; give --output", path="output")
    async with charges_of(url) as charges:
        found = await Export.of(charges, asked)
        try:
            encoder = encoder_of(format_, asked.focus_version, row_group_rows)
            async with aclosing(found.chunks(encoder)) as chunks:
                async for chunk in chunks:
                    sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise ExportError("whoever reads the output has hung up") from error


async def _to_files(
    url: str, asked: ExportRequest, format_: Format, output: Path, *, by_day: bool, resume: bool, row_group_rows: int
) -> None:
    async with charges_of(url) as charges:
        place = output / files.MANIFEST if by_day else output
        found, progress = await _begun(charges, asked, format_, place, resume=resume)
        with Progress(
            TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=errors,
            transient=True,
        ) as bar:  # fmt: skip
            task = bar.add_task("", total=found.rows)

            def tell(rows: int) -> None:
                bar.update(task, completed=rows)

            if by_day:
                written = await files.write_days(
                    found, output, format_, progress=progress, row_group_rows=row_group_rows, tell=tell
                )
            else:
                encoder = encoder_of(format_, asked.focus_version, row_group_rows)
                written = [await files.write_file(found, output, encoder, progress=progress, tell=tell)]
    rows, billed = sum(file.rows for file in written), sum(file.billed_usd for file in written)
    where = f"{len(written)} files in {output}" if by_day else f"{output}, sha256 {written[0].sha256}"
    errors.print(Text(f"{rows} charges, {billed:f} USD, as of {found.snapshot.taken_at}: {where}"), soft_wrap=True)


async def _begun(
    charges: Charges, asked: ExportRequest, format_: Format, place: Path, *, resume: bool
) -> tuple[Export, files.Progress]:
    """A new export, or the one that was begun, with the snapshot it had then."""
    before = files.Progress.read(place) if resume else None
    if before is None:
        found = await Export.of(charges, asked)
        return found, files.Progress(files.fingerprint(found, format_), found.snapshot.json())
    found = await Export.of(charges, asked, Snapshot.of_json(before.snapshot))
    if files.fingerprint(found, format_) != before.fingerprint:
        raise ExportError(f"what is at {place.parent} is part of another export; export without --resume")
    return found, before


def publish(
    url: Annotated[
        str,
        typer.Option(envvar="SARK_EXPORT_URL", help="file:///folder or s3://bucket/prefix?endpoint=https://…&region=…"),
    ],
    format_: Annotated[
        Literal["csv", "csv.gz", "parquet"],
        typer.Option("--format", envvar="SARK_EXPORT_FORMAT", help="Of the files."),
    ] = "csv.gz",
    period: Annotated[
        Literal["day", "month"], typer.Option(envvar="SARK_EXPORT_PERIOD", help="What a file holds.")
    ] = "day",
    focus_version: Annotated[
        FocusVersion, typer.Option(envvar="SARK_EXPORT_FOCUS_VERSION", help="Which version's columns.")
    ] = "1.2",
    delay_s: Annotated[
        float, typer.Option(min=0, envvar="SARK_EXPORT_DELAY_S", help="Seconds after its end until a day is over.")
    ] = 3_600.0,
    database_url: DatabaseUrl = None,
) -> None:
    """Publish the charges of days that are over, and again those that changed, as a service does by itself."""
    plan = Plan(format_, period, focus_version, delay_s)
    encoder_of(format_, focus_version)  # whether it can be made at all
    published = asyncio.run(publishing.publish(url_of(database_url), target_of(url), plan))
    if published is None:
        errors.print("another process publishes now; it takes these charges along")
        return
    for file in published:
        errors.print(Text(f"{file.name}: {file.rows} charges, revision {file.revision}"), soft_wrap=True)
    errors.print(f"{len(published)} files published")
