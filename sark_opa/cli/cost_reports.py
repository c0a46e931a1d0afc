"""`sark-opa cost summary`, `top`, `trend`, `accuracy`, `unsettled` and `unpriced`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from sark_opa.cli import cost_output as output
from sark_opa.cli import cost_plot as plots
from sark_opa.cli.cost_access import Reports, Scope, reached
from sark_opa.cli.options import TOKEN_ENV, URL, InsteadDatabaseUrl, TokenEnv, Url
from sark_opa.cli.remote import Answer
from sark_opa.errors import InvalidInputError
from sark_opa.reports.attention import OLDER_THAN_S
from sark_opa.reports.request import LIMIT, LIMIT_MAX, Order

_PAGES_MAX: Final = 1_000

Org = Annotated[str | None, typer.Option(help="Whose costs; every org's the token is for by default.")]
Account = Annotated[str | None, typer.Option(help="Only what was charged below this account.")]
From = Annotated[
    str | None,
    typer.Option("--from", help="First day (2026-11-01) or instant (RFC 3339); by default 30 days up to today."),
]
To = Annotated[str | None, typer.Option("--to", help="First day or instant left out; the end of today by default.")]
Zone = Annotated[str | None, typer.Option(help="IANA zone of the days; the org's own by default.")]
Principal = Annotated[list[str] | None, typer.Option(help="Only of this principal; may be repeated, as all filters.")]
Team = Annotated[list[str] | None, typer.Option(help="Only of this team's members; '' is those of none.")]
Resource = Annotated[list[str] | None, typer.Option(help="Only of this resource.")]
Capability = Annotated[list[str] | None, typer.Option(help="Only of this capability.")]
Provider = Annotated[list[str] | None, typer.Option(help="Only of this provider; '' is what has none.")]
Model = Annotated[list[str] | None, typer.Option(help="Only of this model; '' is what has none.")]
Tag = Annotated[list[str] | None, typer.Option(help="Only with this tag, name=value.")]
Limit = Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Rows of a page.")]
All = Annotated[bool, typer.Option("--all", help="Every page.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, as the service answers.")]
Plot = Annotated[Path | None, typer.Option(help="Also plot it to this .png or .svg file; takes the extra `plot`.")]


def summary(
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Group by org, principal, team, resource, capability, provider, model, tag:NAME, hour, day or month; "
            "several with commas between."
        ),
    ] = None,
    org: Org = None,
    account: Account = None,
    starts: From = None,
    ends: To = None,
    timezone: Zone = None,
    principal: Principal = None,
    team: Team = None,
    resource: Resource = None,
    capability: Capability = None,
    provider: Provider = None,
    model: Model = None,
    tag: Tag = None,
    order: Annotated[
        Order | None, typer.Option(help="By key, or a figure, largest first. By time where there is one.")
    ] = None,
    limit: Limit = LIMIT,
    all_pages: All = False,
    csv: Csv = False,
    json: Json = False,
    plot: Plot = None,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show what was charged, in groups, with the sums over all of them."""
    values = _values(
        principal=principal, team=team, resource=resource, capability=capability, provider=provider, model=model
    )
    scope = Scope(org, account, starts, ends, timezone, values, tag or [])
    reports = _reached(url, token_env, database_url, plot)

    def page(after: str | None) -> Answer:
        return reports.summary(scope, by or [], order, limit, after)

    _told(_pages(page, all_pages=all_pages), output.summary, output.summary_csv, csv=csv, json=json, plot=plot,
          plots=plots.summary)  # fmt: skip


def top(
    word: Annotated[
        str, typer.Argument(help="Of what: org, principal, team, resource, capability, provider, model or tag:NAME.")
    ] = "principal",
    n: Annotated[int, typer.Option("-n", min=1, max=LIMIT_MAX, help="How many.")] = 10,
    org: Org = None,
    account: Account = None,
    starts: From = None,
    ends: To = None,
    timezone: Zone = None,
    tag: Tag = None,
    order: Annotated[Order, typer.Option(help="The figure that counts.")] = "actual_usd",
    csv: Csv = False,
    json: Json = False,
    plot: Plot = None,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show the largest of a kind, and their share of all."""
    reports = _reached(url, token_env, database_url, plot)
    scope = Scope(org, account, starts, ends, timezone, {}, tag or [])
    answer = reports.summary(scope, [word], order, n, None)
    _told(answer, output.summary, output.summary_csv, csv=csv, json=json, plot=plot, plots=plots.summary)


def trend(
    by: Annotated[Literal["day", "month"], typer.Option(help="By day or by month.")] = "day",
    org: Org = None,
    account: Account = None,
    starts: From = None,
    ends: To = None,
    timezone: Zone = None,
    principal: Principal = None,
    team: Team = None,
    resource: Resource = None,
    capability: Capability = None,
    provider: Provider = None,
    model: Model = None,
    tag: Tag = None,
    csv: Csv = False,
    json: Json = False,
    plot: Plot = None,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show spending by day or month, against the period before, and what the month will come to at this rate."""
    values = _values(
        principal=principal, team=team, resource=resource, capability=capability, provider=provider, model=model
    )
    scope = Scope(org, account, starts, ends, timezone, values, tag or [])
    answer = _reached(url, token_env, database_url, plot).trend(scope, by)
    _told(answer, output.trend, output.trend_csv, csv=csv, json=json, plot=plot, plots=plots.trend)


def accuracy(
    org: Org = None,
    starts: From = None,
    ends: To = None,
    provider: Provider = None,
    model: Model = None,
    csv: Csv = False,
    json: Json = False,
    plot: Plot = None,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show how far estimates were off: the distribution of actual against estimated cost, by model."""
    scope = Scope(org, None, starts, ends, None, _values(provider=provider, model=model))
    answer = _reached(url, token_env, database_url, plot).accuracy(scope)
    _told(answer, output.accuracy, output.accuracy_csv, csv=csv, json=json, plot=plot, plots=plots.accuracy)


def unsettled(
    org: Org = None,
    account: Account = None,
    starts: From = None,
    ends: To = None,
    older_than_s: Annotated[
        int, typer.Option("--older-than", min=0, help="Seconds for which a hold may be open before it is shown.")
    ] = OLDER_THAN_S,
    limit: Limit = LIMIT,
    all_pages: All = False,
    csv: Csv = False,
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show holds nobody settled: open for long, or expired; and what is at stake."""
    scope = Scope(org, account, starts, ends, None)
    reports = _reached(url, token_env, database_url)

    def page(after: str | None) -> Answer:
        return reports.unsettled(scope, older_than_s, limit, after)

    _told(_pages(page, all_pages=all_pages), output.unsettled, output.unsettled_csv, csv=csv, json=json)


def unpriced(
    org: Org = None,
    starts: From = None,
    ends: To = None,
    limit: Limit = LIMIT,
    csv: Csv = False,
    json: Json = False,
    url: Url = URL,
    token_env: TokenEnv = TOKEN_ENV,
    database_url: InsteadDatabaseUrl = None,
) -> None:
    """Show models that calls asked for and no price is known for. Days are UTC."""
    answer = _reached(url, token_env, database_url).unpriced(Scope(org, None, starts, ends, None), limit)
    _told(answer, output.unpriced, output.unpriced_csv, csv=csv, json=json)


def _reached(url: str, token_env: str, database_url: str | None, plot: Path | None = None) -> Reports:
    if plot is not None:
        plots.check(plot)
    return reached(url, os.environ.get(token_env, ""), database_url)


def _values(**given: list[str] | None) -> dict[str, list[str]]:
    return {kind: values for kind, values in given.items() if values}


def _pages(page: Callable[[str | None], Answer], *, all_pages: bool) -> Answer:
    """A page, or all of them as if they were one."""
    answer = page(None)
    for _ in range(_PAGES_MAX if all_pages else 0):
        if answer["next_after"] is None:
            break
        following = page(answer["next_after"])
        answer = following | {"rows": [*answer["rows"], *following["rows"]]}
    return answer


def _told(
    answer: Answer,
    table: Callable[[Any], None],
    as_csv: Callable[[Any], None],
    *,
    csv: bool,
    json: bool,
    plot: Path | None = None,
    plots: Callable[[Any, Path], None] | None = None,
) -> None:
    if csv and json:
        raise InvalidInputError("--csv or --json, not both", path="csv")
    if plot is not None and plots is not None:
        plots(answer, plot)
    if json:
        output.write_json(answer)
    elif csv:
        as_csv(answer)
    else:
        table(answer)
