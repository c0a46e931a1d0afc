"""How `sark-opa budget …` reaches the budgets: through a running service, or straight in its database.

Both answer what the HTTP API answers, as mappings with exact decimals.
"""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from sark_opa.cli.remote import Answer, Remote, exact
from sark_opa.errors import InvalidInputError
from sark_opa.evaluation.budget_plans import ApplyBody, BudgetPlans, PlanBody
from sark_opa.evaluation.facts import encode
from sark_opa.evaluation.question import paths_of
from sark_opa.evaluation.raises import RaiseBody, Raises
from sark_opa.storage.accounts import AccountStore
from sark_opa.storage.audit import CLI, Actor
from sark_opa.storage.pool import open_pool
from sark_opa.storage.raises import RaiseStore

Model = TypeVar("Model", bound=BaseModel)
_TIMEOUT_S: Final = 30.0
_STATEMENT_TIMEOUT_MS: Final = 60_000


class Budgets(Protocol):
    """What the commands need. Bodies and answers are those of the routes of the same names.

    Raises everywhere: `UnreachableError` or `DatabaseUnavailableError` when there is no answer, `RefusedError` (a
    service's) or the error itself (in the database) when the answer is no.
    """

    def plan(self, body: Mapping[str, Any]) -> Answer:
        """`POST /v1/budgets/plan`."""

    def apply(self, body: Mapping[str, Any]) -> Answer:
        """`POST /v1/budgets/apply`."""

    def listed(self, account: str | None, after: str | None, limit: int) -> Answer:
        """`GET /v1/budgets`."""

    def standings(self, account: str | None, after: str | None, limit: int) -> Answer:
        """`GET /v1/budgets/status`."""

    def put_raise(self, body: Mapping[str, Any]) -> Answer:
        """`POST /v1/budgets/raises`."""

    def raises(self, account: str | None, *, ended: bool) -> Answer:
        """`GET /v1/budgets/raises`."""

    def cancel_raise(self, account: str, raise_id: str) -> Answer:
        """`DELETE /v1/budgets/raises/{raise_id}`."""


def reached(url: str, token: str, database_url: str | None) -> Budgets:
    """The budgets behind a service, or in a database if one is given.

    Raises:
        ConfigurationError: a service, and no token for it.
    """
    if database_url:
        return _Database(database_url)
    return _Service(url, token)


class _Service:
    """Through a running service; the author of what is done is the token's name."""

    def __init__(self, url: str, token: str) -> None:
        self._remote = Remote(url, "/v1/budgets", token, roles="admin, budget or report", timeout_s=_TIMEOUT_S)

    def plan(self, body: Mapping[str, Any]) -> Answer:
        return self._ask("POST", "/plan", body)

    def apply(self, body: Mapping[str, Any]) -> Answer:
        return self._ask("POST", "/apply", body)

    def listed(self, account: str | None, after: str | None, limit: int) -> Answer:
        return self._ask("GET", "", account=account, after=after, limit=limit)

    def standings(self, account: str | None, after: str | None, limit: int) -> Answer:
        return self._ask("GET", "/status", account=account, after=after, limit=limit)

    def put_raise(self, body: Mapping[str, Any]) -> Answer:
        return self._ask("POST", "/raises", body)

    def raises(self, account: str | None, *, ended: bool) -> Answer:
        return self._ask("GET", "/raises", account=account, ended="true" if ended else "false", limit=1_000)

    def cancel_raise(self, account: str, raise_id: str) -> Answer:
        return self._ask("DELETE", f"/raises/{raise_id}", account=account)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Answer:
        return self._remote.ask(method, path, query, body)


class _Database:
    """Straight in the database; the author is whoever runs the command, as this machine calls them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._actor = _myself()

    def plan(self, body: Mapping[str, Any]) -> Answer:
        return self._run(lambda budgets, _: budgets.plan(_body(PlanBody, body), self._actor))

    def apply(self, body: Mapping[str, Any]) -> Answer:
        return self._run(lambda budgets, _: budgets.apply(_body(ApplyBody, body), self._actor))

    def listed(self, account: str | None, after: str | None, limit: int) -> Answer:
        return self._run(lambda budgets, _: budgets.listed(account, self._actor, after=after, limit=limit))

    def standings(self, account: str | None, after: str | None, limit: int) -> Answer:
        return self._run(lambda budgets, _: budgets.standings(account, self._actor, after=after, limit=limit))

    def put_raise(self, body: Mapping[str, Any]) -> Answer:
        async def put(_: BudgetPlans, raises: Raises) -> Any:
            made, _created = await raises.put(_body(RaiseBody, body), self._actor)
            return made

        return self._run(put)

    def raises(self, account: str | None, *, ended: bool) -> Answer:
        return self._run(lambda _, raises: raises.listed(account, self._actor, ended=ended, limit=1_000))

    def cancel_raise(self, account: str, raise_id: str) -> Answer:
        return self._run(lambda _, raises: raises.cancel(account, raise_id, self._actor))

    def _run(self, use: Callable[[BudgetPlans, Raises], Awaitable[Any]]) -> Answer:
        async def run() -> Any:
            async with open_pool(self._url, size_max=1, statement_timeout_ms=_STATEMENT_TIMEOUT_MS) as pool:
                accounts = AccountStore(pool)
                return await use(BudgetPlans(accounts), Raises(RaiseStore(pool), accounts))

        return exact.decode(encode(asyncio.run(run())))


def _myself() -> Actor:
    try:
        return Actor(f"{CLI.name}:{getpass.getuser()}", CLI.role)
    except (OSError, KeyError):  # nobody this machine has a name for
        return CLI


def _body(model: type[Model], body: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = paths_of(error)
        raise InvalidInputError(
            "; ".join(f"{fault['path'] or 'body'}: {fault['message']}" for fault in faults)
        ) from error
