"""Every error sark-opa raises on purpose.

The class docstring is the default message and says what to do; `code` is the stable word that
reaches callers (`problem.code` over HTTP, `errors[].code` in facts, a reason's `code` in Rego).
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar


class SarkError(Exception):
    """Something sark-opa could not do; the code says what."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    """HTTP status the service answers with."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or self.code)
        self.details = details
        super().__init__(self.message)


class InvalidInputError(SarkError):
    """The request is well-formed but says something that cannot be; see the details for the field."""

    code = "invalid_input"
    status = 422


class UnavailableError(SarkError):
    """A part sark-opa needs does not answer; nothing was granted. Try again."""

    code = "unavailable"
    status = 503


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer; nothing was granted. Check SARK_DATABASE_URL and the server."""

    code = "database_unavailable"


class DeadlineExceededError(UnavailableError):
    """The time given for this request ran out; nothing was granted."""

    code = "deadline_exceeded"
    status = 504


class OverloadedError(UnavailableError):
    """Too many requests wait already; slow down or add a replica."""

    code = "overloaded"


class SpoolError(UnavailableError):
    """The settlement could be written neither to the database nor to the local spool; nothing was kept. Try again."""

    code = "spool_unavailable"


class SpoolFullError(SpoolError):
    """The database cannot take the settlement now, and the local spool is full; nothing was kept. Try again."""

    code = "spool_full"


class OrgMovingError(UnavailableError):
    """The organisation is being moved to another database; nothing was granted. Try again."""

    code = "org_moving"


class OrgMovedError(OrgMovingError):
    """The organisation lives in another database; nothing was granted. SARK_CELLS_FILE has to name that one."""

    code = "org_moved"


class NotFoundError(SarkError):
    """No such thing is known here."""

    code = "not_found"
    status = 404


class UnknownAccountError(NotFoundError):
    """No account of that name exists; create it with PUT /v1/accounts/{name}."""

    code = "unknown_account"


class UnknownHoldError(NotFoundError):
    """No hold of that id exists; it is written in the decision's hold.id."""

    code = "unknown_hold"


class UnknownPluginError(NotFoundError):
    """No plugin of that name is known here; GET /v1/plugins lists them."""

    code = "unknown_plugin"


class ConflictError(SarkError):
    """The request contradicts what is already recorded."""

    code = "conflict"
    status = 409


class RequestIdConflictError(ConflictError):
    """This request_id was used before for a different request; give each request its own."""

    code = "request_id_conflict"


class HoldEndedError(ConflictError):
    """The hold has already ended another way; a hold ends exactly once."""

    code = "hold_ended"


class PlanOutdatedError(ConflictError):
    """The budgets have changed since the plan was made, so nothing was applied; make a new plan and look at it."""

    code = "plan_outdated"


class SplitExceededError(ConflictError):
    """The limits below the account would exceed its own; lower one of them first."""

    code = "split_exceeded"


class BudgetExceededError(ConflictError):
    """The amount does not fit into the budget that is left."""

    code = "budget_exceeded"
    status = 402


class QuotaExceededError(ConflictError):
    """The tokens or the call do not fit into the quota that is left."""

    code = "quota_exceeded"
    status = 402


class CostEstimationError(SarkError):
    """The cost of this call cannot be worked out."""

    code = "estimate_failed"
    status = 422


class UsageError(CostEstimationError):
    """The usage payload is not one of a known provider's shapes, or its figures contradict each other."""

    code = "usage_invalid"


class UnpricedError(CostEstimationError):
    """No price is known for this model; add one to the price overlay (SARK_PRICES_FILE)."""

    code = "unpriced"


class ConfigurationError(SarkError):
    """A setting is missing or wrong; the message names it."""

    code = "configuration"


class UnauthenticatedError(SarkError):
    """No valid token came with the request; send `Authorization: Bearer <token>`."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(SarkError):
    """The token is valid, but its role may not do this."""

    code = "forbidden"
    status = 403


class PayloadTooLargeError(SarkError):
    """The body is larger than this service reads (SARK_BODY_BYTES_MAX)."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaTypeError(SarkError):
    """The body is of a type this route does not read; the message says which it does."""

    code = "unsupported_media_type"
    status = 415


class PluginError(SarkError):
    """The plugin cannot be loaded; the message names the file, the line and the remedy."""

    code = "plugin_invalid"
    status = 422


class PluginUnsignedError(PluginError):
    """The plugin is not signed by a key that is trusted here, and only such plugins are taken."""

    code = "plugin_unsigned"


class PluginSignatureError(PluginError):
    """The plugin's signature does not fit: it was changed after signing, or signed with another key."""

    code = "plugin_signature_invalid"


class SandboxError(UnavailableError):
    """The sandbox lacks a layer that is required, so no plugin may be loaded; the message says which and why."""

    code = "sandbox_insufficient"


class FederationOffError(NotFoundError):
    """This service is in no federation; set SARK_FEDERATION_FILE."""

    code = "federation_off"


class UnknownTransferError(NotFoundError):
    """No call across organisations of that id is known here."""

    code = "unknown_transfer"


class FederationError(InvalidInputError):
    """What a member of the federation sent cannot be taken; the message says why."""

    code = "federation_invalid"


class FederationClockError(FederationError):
    """It was made in the future or too long ago by our clock; set both clocks right."""

    code = "federation_clock"


class FederationSignatureError(SarkError):
    """It is not signed by the member it says it is from; compare the keys in SARK_FEDERATION_FILE."""

    code = "federation_signature_invalid"
    status = 401


class FederationChangedPastError(ConflictError):
    """A statement contradicts one its issuer signed before; both are kept, and the new one is not taken."""

    code = "federation_changed_past"


class FederationRefusedError(SarkError):
    """The other organisation does not accept this call; nothing is held. `details.peer_code` says why."""

    code = "federation_refused"
    status = 402


class FederationUnavailableError(UnavailableError):
    """The other organisation does not answer; nothing was granted. The same request again finds out."""

    code = "federation_unavailable"


class MigrationError(SarkError):
    """The database schema is not what this version expects; the message says how it differs."""

    code = "migration"


class ExportError(SarkError):
    """The export broke off; what was sent of it is not whole, and no finished file was left. Run it again."""

    code = "export_failed"


class OpaError(SarkError):
    """OPA could not be found, started or asked; the message says which and what to do."""

    code = "opa"
    status = 502
