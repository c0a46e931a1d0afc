"""What the routes need, handed in by `app/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sark_opa.api.access import Keyring
from sark_opa.cost import Costing
from sark_opa.evaluation.accounts import Accounts
from sark_opa.evaluation.budget_plans import BudgetPlans
from sark_opa.evaluation.evaluator import Evaluator
from sark_opa.evaluation.holds import Holds
from sark_opa.evaluation.plugins import Plugins
from sark_opa.evaluation.raises import Raises
from sark_opa.evaluation.spooling import Spooling
from sark_opa.federation import Federation
from sark_opa.metrics import Metrics
from sark_opa.reports.costs import Costs
from sark_opa.reports.export.exports import Exports
from sark_opa.storage.audit import AuditLog


@dataclass(frozen=True, slots=True)
class Services:
    """One of each for a process. `pings` are the parts whose health decides readiness."""

    evaluator: Evaluator
    holds: Holds
    spooling: Spooling
    accounts: Accounts
    budgets: BudgetPlans
    raises: Raises
    costing: Costing
    plugins: Plugins
    audit: AuditLog
    exports: Exports
    costs: Costs
    federation: Federation | None
    keyring: Keyring
    metrics: Metrics
    pings: Mapping[str, Callable[[], Awaitable[None]]]
    about: Callable[[], dict[str, Any]]
    """What `/readyz` tells beside its parts: versions, price revision, sandbox layers."""
