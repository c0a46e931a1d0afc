"""`sark-opa budget …`: budgets as files, where they stand, and more of them for a while."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from sark_opa.budget import budgets_file
from sark_opa.budget.export import text_of
from sark_opa.budget.ledger import Account
from sark_opa.budget.quotas import Quotas
from sark_opa.cli import budget_output as output
from sark_opa.cli import budget_watch
from sark_opa.cli.budget_access import Budgets, reached
from sark_opa.cli.options import TOKEN_ENV, URL, InsteadDatabaseUrl, Json, TokenEnv, Url
from sark_opa.errors import ConfigurationError, InvalidInputError
from sark_opa.money import from_usd

app = typer.Typer(
    help="Budgets: apply files of them, export them, see where they stand, raise them for a while.",
    no_args_is_help=True,
)

_PAGE: Final = 1_000
_CHANGES: Final = 2
"""Exit status of a plan with changes, when asked for."""


@app.command()
def apply(
    file: Annotated[
        list[Path],
        typer.Option("--file", "-f", help="YAML file, folder of them, or - for standard input; may be repeated."),
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Say what would change, and change nothing.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Reset the limits of accounts that no file states; none is ever removed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="With --plan: exit with 2 when something would change.")
    ] = False,
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Make budgets what files say: plan, show the difference, ask, and apply all of it in one step.

    Nothing is applied when an account changed after the plan was made.
    """
    desired = budgets_file.read(dict(_texts(file)))
    body = {"accounts": [each.model_dump(exclude_unset=True) for each in desired], "prune": prune}
    budgets = reached(url, os.environ.get(token_env, ""), database_url)
    made = budgets.plan(body)
    if plan or not made["changes"]:
        output.plan(made, json=json)
        raise typer.Exit(_CHANGES if plan and detailed_exitcode and made["changes"] else 0)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError("nobody is there to be asked: give --yes to apply, or --plan to look")
        output.plan(made, json=False, to_stderr=json)
        typer.confirm("Apply?", abort=True, err=True)
    applied = budgets.apply(body | {"revision": made["revision"]})
    output.plan(applied, json=json, brief=not yes)


@app.command()
def export(
    account: Annotated[
        str | None, typer.Argument(help="An org, or an account and all below it. All by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output by default.")
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Also principals that have just their org's default limits.")
    ] = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Write the present budgets as a file for `budget apply`. Applied, it changes nothing."""
    budgets = reached(url, os.environ.get(token_env, ""), database_url)
    text = text_of(_accounts(budgets, account), everyone=everyone)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


@app.command()
def status(
    accounts: Annotated[
        list[str] | None, typer.Argument(help="Accounts; each is shown with all below it. All by default.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks of --watch.")] = 2.0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Accounts to show at most.")] = 100,
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show limits, what is spent, held and left, and when it begins anew. Held counts as used."""
    budgets = reached(url, os.environ.get(token_env, ""), database_url)

    def look() -> output.Standings:
        return _standings(budgets, [*accounts] if accounts else [None], limit)

    if watch:
        budget_watch.watch(look, interval_s=interval, json=json)
    else:
        output.standings(look(), json=json)


@app.command("raise")
def raise_limits(
    account: Annotated[str, typer.Argument(help="Whose limits.")],
    until: Annotated[str, typer.Option(help="When it ends, such as 2026-12-01T00:00Z.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept, with who did it.")],
    daily: Annotated[str, typer.Option(help="USD to add to the limit of the day, such as +50.")] = "0",
    monthly: Annotated[str, typer.Option(help="USD to add to the limit of the month.")] = "0",
    since: Annotated[str | None, typer.Option("--from", help="When it begins; now by default.")] = None,
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Raise an account's limits for a while. It ends by itself, at its instant."""
    body: dict[str, Any] = {
        "account": account,
        "daily_extra_usd": _amount(daily, "--daily"),
        "monthly_extra_usd": _amount(monthly, "--monthly"),
        "expires_at": _instant(until, "--until"),
        "reason": reason,
        "id": uuid4().hex,
    }
    if since is not None:
        body["starts_at"] = _instant(since, "--from")
    budgets = reached(url, os.environ.get(token_env, ""), database_url)
    output.raised(budgets.put_raise(body), json=json)


@app.command()
def raises(
    account: Annotated[str | None, typer.Argument(help="An account, with all below it. All by default.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over.")] = False,
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """List limits that are raised for a while: by whom, until when, why."""
    budgets = reached(url, os.environ.get(token_env, ""), database_url)
    output.raises(budgets.raises(account, ended=ended), json=json)


@app.command("cancel-raise")
def cancel_raise(
    account: Annotated[str, typer.Argument(help="Whose limits were raised.")],
    raise_id: Annotated[str, typer.Argument(help="Its id, as `budget raises` shows it.")],
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """End a raise before its time. What was held under it stays held."""
    budgets = reached(url, os.environ.get(token_env, ""), database_url)
    output.raised(budgets.cancel_raise(account, raise_id), json=json)


def _texts(paths: list[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        if str(path) == "-":
            yield "standard input", sys.stdin.read()
            continue
        files = sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")]) if path.is_dir() else [path]
        if not files:
            raise ConfigurationError(f"{path}: the folder has no .yaml or .yml file")
        for file in files:
            try:
                yield str(file), file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{file}: it cannot be read: {error}") from error


def _accounts(budgets: Budgets, root: str | None) -> Iterator[Account]:
    after = None
    while True:
        page = budgets.listed(root, after, _PAGE)
        for row in page["accounts"]:
            yield _account(row)
        after = page["next_after"]
        if after is None:
            return


def _account(row: dict[str, Any]) -> Account:
    defaults = row["default_limits"]

    def nanousd(usd: Any) -> int | None:
        return None if usd is None else from_usd(usd)

    return Account(
        name=row["name"],
        parent=row["parent"],
        daily_limit_nanousd=nanousd(row["daily_limit_usd"]),
        monthly_limit_nanousd=nanousd(row["monthly_limit_usd"]),
        timezone=row["timezone"],
        enforcement=row["enforcement"],
        on_expiry=row["on_expiry"],
        unknown_principals=row["unknown_principals"],
        default_daily_limit_nanousd=nanousd(defaults["daily_limit_usd"]),
        default_monthly_limit_nanousd=nanousd(defaults["monthly_limit_usd"]),
        default_enforcement=defaults["enforcement"],
        **Quotas.model_validate(row.get("quotas", {})).limits(),
    )


def _standings(budgets: Budgets, roots: Sequence[str | None], limit: int) -> output.Standings:
    rows: dict[str, dict[str, Any]] = {}
    at, more = None, False
    for root in roots:
        after = None
        while True:
            page = budgets.standings(root, after, min(_PAGE, limit))
            at = page["at"]
            rows |= {row["account"]: row for row in page["budgets"]}
            after = page["next_after"]
            if after is None or len(rows) >= limit:
                more = more or after is not None or len(rows) > limit
                break
    return output.Standings(str(at), list(rows.values())[:limit], more)


def _amount(text: str, option: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InvalidInputError(f"{option}: {text!r} is no amount to add, such as +50")
    return amount


def _instant(text: str, option: str) -> str:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{option}: {text!r} is no instant, such as 2026-12-01T00:00Z") from error
    if instant.tzinfo is None:
        raise InvalidInputError(f"{option}: {text!r} has no time zone; end it with Z, or with an offset such as +01:00")
    return instant.isoformat()
