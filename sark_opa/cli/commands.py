"""Every command, its options and its help."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from typer.core import TyperGroup

import sark_opa
from sark_opa.cli.options import CellsFile, DatabaseUrl

GROUPS: Final = ("budget", "cells", "cost", "database", "federation", "plugin", "prices", "spool")
"""Each is the `app` of the module of its name."""


class _Commands(TyperGroup):
    """Imports a group when it is asked for: all that the others need takes a second, which a shell would wait for.

    For the same reason each command here imports its work itself.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), "migrate", *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "migrate":
            found = import_module("sark_opa.cli.database").migrate_app
        elif cmd_name in GROUPS:
            found = import_module(f"sark_opa.cli.{cmd_name}").app
        else:
            return super().get_command(ctx, cmd_name)
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="sark-opa",
    cls=_Commands,
    help="Lets Open Policy Agent decide with money and sandboxed plugin verdicts in hand.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
token = typer.Typer(help="Tokens of the service: who may ask, settle, report, administer.", no_args_is_help=True)
app.add_typer(token, name="token")


def _version(value: bool) -> None:  # noqa: FBT001  # typer calls it
    if value:
        typer.echo(f"sark-opa {sark_opa.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder of the stack: database, logs, tokens.")] = Path(".sark"),
    port: Annotated[int, typer.Option(help="Port of the service; 0 takes a free one.")] = 8088,
    opa_port: Annotated[int, typer.Option(help="Port of OPA; 0 takes a free one.")] = 8181,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write URLs and tokens here, as one JSON object, once everything answers.")
    ] = None,
    plugins: Annotated[
        str, typer.Option(help="Plugins to run, comma separated: bundled names or folders. None by default.")
    ] = "",
    plugins_config: Annotated[Path | None, typer.Option(help="YAML file: plugin name to its configuration.")] = None,
    prices: Annotated[Path | None, typer.Option(help="YAML overlay with own prices.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Rego bundle folder instead of the one that ships.")] = None,
    unknown_orgs: Annotated[
        Literal["create", "deny"],
        typer.Option(envvar="SARK_UNKNOWN_ORGS", help="What happens to a call of an org nobody registered."),
    ] = "create",
) -> None:
    """Run the whole stack in the foreground: PostgreSQL, service, OPA. Ctrl-C stops it.

    PostgreSQL is embedded unless SARK_DATABASE_URL names a server.
    """
    from sark_opa.cli import run

    settings = {
        "SARK_PLUGINS": run.absolute_plugins(plugins),
        "SARK_PLUGINS_CONFIG_FILE": str(plugins_config.resolve()) if plugins_config else "",
        "SARK_PRICES_FILE": str(prices.resolve()) if prices else "",
        "SARK_UNKNOWN_ORGS": unknown_orgs,
    }
    run.up(data=data, port=port, opa_port=opa_port, ready_file=ready_file, bundle=bundle, settings=settings)


@app.command()
def demo() -> None:
    """Show the main job on real input, in a stack of its own. Exits 1 if any outcome differs from what is stated."""
    from sark_opa.cli import run

    raise typer.Exit(run.demo())


@app.command()
def serve() -> None:
    """Run one service process. Everything is set by SARK_* variables; see `sark-opa settings`."""
    from sark_opa.cli import run

    run.serve()


@app.command()
def settings() -> None:
    """List every setting of the service: variable, default, meaning."""
    from sark_opa.cli import run

    run.print_settings()


@app.command()
def verify(cells_file: CellsFile = None, database_url: DatabaseUrl = None) -> None:
    """Check every invariant of the ledger on a live database, and on every cell. Exits 1 on a finding."""
    from sark_opa.cli import administration
    from sark_opa.cli.everywhere import everywhere

    raise typer.Exit(everywhere(database_url, cells_file, administration.verify))


@app.command()
def doctor(
    database_url: DatabaseUrl = None,
    opa_url: Annotated[
        str | None, typer.Option(help="Also look at this running OPA: its bundle, and whether it gets facts.")
    ] = None,
) -> None:
    """Look at everything the stack needs on this machine, and say what is missing."""
    from sark_opa.cli import doctor as looks

    raise typer.Exit(asyncio.run(looks.doctor(database_url, opa_url)))


@token.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Who will hold it; unique.")],
    role: Annotated[Literal["facts", "settle", "report", "budget", "admin"], typer.Option(help="What it may do.")],
    account: Annotated[
        str | None,
        typer.Option(help="What it is for, with all below it: an org or an account. Everything by default."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; never by default.")
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    from sark_opa.cli import administration

    asyncio.run(
        administration.create_token(
            administration.url_of(database_url), name=name, role=role, days=days, account=account
        )
    )


@token.command("list")
def list_tokens(database_url: DatabaseUrl = None) -> None:
    """List tokens: name, role, since when, until when. Never the token."""
    from sark_opa.cli import administration

    asyncio.run(administration.list_tokens(administration.url_of(database_url)))


@token.command("revoke")
def revoke_token(name: Annotated[str, typer.Argument(help="Its name.")], database_url: DatabaseUrl = None) -> None:
    """Revoke a token; every service process notices within SARK_TOKEN_REFRESH_S seconds."""
    from sark_opa.cli import administration

    asyncio.run(administration.revoke_token(administration.url_of(database_url), name=name))
