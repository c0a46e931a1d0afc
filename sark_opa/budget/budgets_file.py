"""A budgets file: orgs with their tree of accounts, in YAML. The page docs/reference/budgets-file.md describes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from sark_opa import exact_yaml
from sark_opa.budget.desired import (
    ACCOUNTS_MAX,
    DefaultLimits,
    Desired,
    LimitUsd,
    Settings,
    Stated,
    Zone,
    is_account_name,
)
from sark_opa.budget.ledger import Enforcement, OnExpiry, OnUnknown
from sark_opa.budget.quotas import Quotas, QuotasStated
from sark_opa.errors import InvalidInputError

_BELOW: Final = ("teams", "principals", "accounts")
_KINDS: Final = {"teams": "team/", "principals": "principal/", "accounts": ""}
_FAULTS_MAX: Final = 20


def _nothing_is_empty(value: object) -> object:
    return {} if value is None else value


class Template(Stated):
    """Settings under a name, for accounts that extend it."""

    daily_limit_usd: LimitUsd | None = None
    monthly_limit_usd: LimitUsd | None = None
    timezone: Zone | None = None
    enforcement: Enforcement | None = None
    on_expiry: OnExpiry | None = None
    quotas: QuotasStated = Quotas()


class Node(Template):
    """An account and what lies below it: teams and principals by their id, others by `{kind}/{id}`."""

    extends: str | None = None
    teams: dict[str, Below] = Field(default_factory=dict)
    principals: dict[str, Below] = Field(default_factory=dict)
    accounts: dict[str, Below] = Field(default_factory=dict)


Below = Annotated[Node, BeforeValidator(_nothing_is_empty)]


class OrgNode(Node):
    """An org."""

    unknown_principals: OnUnknown = "deny"
    default_limits: DefaultLimits = DefaultLimits()


class BudgetsFile(Stated):
    """The whole file."""

    version: Annotated[Literal[1], BeforeValidator(lambda value: int(value) if value == 1 else value)]
    templates: dict[str, Annotated[Template, BeforeValidator(_nothing_is_empty)]] = Field(default_factory=dict)
    orgs: dict[str, Annotated[OrgNode, BeforeValidator(_nothing_is_empty)]]


Node.model_rebuild()


def read(files: Mapping[str, str]) -> list[Desired]:
    """The accounts that files state together, each after its parent.

    Args:
        files: what people call each file, and its text.

    Raises:
        InvalidInputError: a file cannot be read, says something that cannot be, or states an account that another one
            states; each fault with its file and line.
    """
    found: dict[str, tuple[Desired, str]] = {}
    for where, text in files.items():
        for desired, place in _read_one(where, text):
            _merge(found, desired, place)
    if not found:
        raise InvalidInputError(f"{', '.join(files) or 'no file'}: no org is stated")
    if len(found) > ACCOUNTS_MAX:
        raise InvalidInputError(f"{len(found)} accounts; {ACCOUNTS_MAX} at once are the most: apply org by org")
    return _parents_first([desired for desired, _ in found.values()])


def _merge(found: dict[str, tuple[Desired, str]], desired: Desired, place: str) -> None:
    known = found.get(desired.name)
    if known is None:
        found[desired.name] = (desired, place)
        return
    other, elsewhere = known
    if desired.parent != other.parent:
        raise InvalidInputError(
            f"{place}: {desired.name} stands below {desired.parent}, and below {other.parent} at {elsewhere}"
        )
    if desired.settings is not None and other.settings is not None:
        raise InvalidInputError(f"{place}: {desired.name} is stated a second time; first at {elsewhere}")
    if desired.settings is not None:
        found[desired.name] = (desired, place)


def _parents_first(accounts: Sequence[Desired]) -> list[Desired]:
    below: dict[str | None, list[Desired]] = {}
    for desired in accounts:
        below.setdefault(desired.parent, []).append(desired)
    ordered = list(below.get(None, ()))
    for desired in ordered:  # grows while it is walked
        ordered += below.get(desired.name, ())
    return ordered


def _read_one(where: str, text: str) -> Iterator[tuple[Desired, str]]:
    document = exact_yaml.read(text, where)
    if not isinstance(document.value, dict):
        raise InvalidInputError(f"{where}:1: a budgets file is a mapping with `version: 1` and `orgs`")
    try:
        file = BudgetsFile.model_validate(document.value)
    except ValidationError as error:
        raise _fault(where, document, error) from error
    for name, org in file.orgs.items():
        yield from _flat(org, name, name, None, (where, document, ("orgs", name), file.templates))


def _flat(
    node: Node,
    name: str,
    org: str,
    parent: str | None,
    context: tuple[str, exact_yaml.Document, exact_yaml.Place, Mapping[str, Template]],
) -> Iterator[tuple[Desired, str]]:
    where, document, path, templates = context
    place = f"{where}:{document.line_of(path)}"
    if not is_account_name(name):
        raise InvalidInputError(f"{place}: {name!r} is no name of an account: {{org}} or {{org}}/{{kind}}/{{id}}")
    yield Desired(name=name, parent=parent, settings=_settings(node, place, templates)), place
    for group in _BELOW:
        for key, inner in getattr(node, group).items():
            below = f"{org}/{_KINDS[group]}{key}"
            yield from _flat(inner, below, org, name, (where, document, (*path, group, key), templates))


def _settings(node: Node, place: str, templates: Mapping[str, Template]) -> Settings | None:
    stated = node.model_fields_set - {*_BELOW, "extends"}
    if not stated and node.extends is None and any(getattr(node, group) for group in _BELOW):
        return None
    values: dict[str, Any] = {}
    if node.extends is not None:
        template = templates.get(node.extends)
        if template is None:
            known = ", ".join(sorted(templates)) or "there are none"
            raise InvalidInputError(f"{place}: no template is called {node.extends!r} ({known})")
        values = {name: getattr(template, name) for name in template.model_fields_set}
    return Settings(**values | {name: getattr(node, name) for name in stated})


def _fault(where: str, document: exact_yaml.Document, error: ValidationError) -> InvalidInputError:
    lines = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False)[:_FAULTS_MAX]:
        place = tuple(part for part in fault["loc"] if part != "[key]")
        message = "there is no such key" if fault["type"] == "extra_forbidden" else fault["msg"]
        lines.append(f"{where}:{document.line_of(place)}: {'.'.join(map(str, place)) or 'file'}: {message}")
    return InvalidInputError("\n".join(lines))
