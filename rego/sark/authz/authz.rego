# METADATA
# title: Decision
# description: |
#   What a gateway asks. First whatever needs no facts, then one question to the service, then the reasons of estimate,
#   budget, plugins and authors' policies. The call is allowed exactly when nobody has a reason against it.
# scope: package
package sark.authz

import data.sark.authors
import data.sark.budget
import data.sark.config
import data.sark.cost
import data.sark.facts
import data.sark.plugins
import data.sark.reasons as constructor
import data.sark.request

# METADATA
# title: The whole decision
# description: |
#   Always an object of the same keys. When `allow` is true and money is held, `obligations` says how to settle it.
# entrypoint: true
decision := {
	"allow": _allowed,
	"reasons": constructor.in_order(_reasons),
	"warnings": constructor.in_order(_warnings),
	"estimate": object.get(facts.known, "estimate", null),
	"budget": object.get(facts.known, "budget", null),
	"verdicts": object.get(facts.known, "verdicts", []),
	"hold": _hold,
	"obligations": _obligations,
	"facts": {
		"id": object.get(facts.known, "id", null),
		"age_ms": object.get(facts.known, "age_ms", null),
		"degraded": object.get(facts.known, "degraded", null),
		"price_revision": object.get(facts.known, "price_revision", null),
	},
}

# METADATA
# title: The decision as one boolean
# description: |
#   For gateways that read nothing else. Holds money just as the whole decision does; what nobody settles ends when the
#   hold expires.
# scope: document
# entrypoint: true
default allow := false

allow := decision.allow

# METADATA
# title: What would be decided
# description: The same decision without holding money, so also without a request_id.
# entrypoint: true
preview := previewed if {
	previewed := decision with data.sark.config.hold_mode as "none"
}

default _allowed := false

_allowed if count(_reasons) == 0

# Stands only where one of the parts below has no value, so that nobody knows whether it objects.
default _reasons := {{
	"code": "facts_unavailable",
	"message": "the decision cannot be worked out",
	"source": "facts",
	"details": {"cause": "a part of the decision is undefined"},
}}

_reasons := _known_reasons if {
	count(_known_reasons) > 0
} else := _unfounded if {
	count(_known_reasons) == 0
	count(_unfounded) > 0
} else := _hold_missing if {
	count(_known_reasons) == 0
}

_known_reasons := ((request.reasons | authors.deny_early) | _no_input) | _reasons_with_facts

_reasons_with_facts := set() if not facts.asked

_reasons_with_facts := (((facts.reasons | cost.reasons) | budget.reasons) | plugins.reasons) | authors.deny if {
	facts.asked
}

# Silence is no permission: where no rule objects, the facts themselves have to say that the call may go ahead.
default _unfounded := set()

_unfounded := {constructor.new("facts_unavailable", message, "facts", {"cause": "nothing in them permits it"})} if {
	not _founded
	message := "the facts do not support this call"
}

_founded if {
	cost.status in {"priced", "free", "default"}
	cost.bound in {"exact", "closed", "window"}
	budget.status in {"ok", "warning", "none"}
	budget.blocks == null
	count(facts.known.errors) == 0
}

default _no_input := {{
	"code": "input_invalid",
	"message": "the query has no input object",
	"source": "input",
	"details": {"path": ""},
}}

_no_input := set() if is_object(input)

# Nothing speaks against the call, yet the service holds no money for it: it must not run.
default _hold_missing := set()

_hold_missing := {constructor.new("hold_missing", "no money was held for this call", "budget", {})} if {
	config.holds_in_decision
	not budget.hold
}

default _warnings := set()

_warnings := (((cost.warnings | budget.warnings) | plugins.warnings) | authors.warn) | _release_failed if {
	facts.asked
}

default _hold := null

_hold := object.filter(budget.hold, ["id", "amount_usd", "expires_at"]) if _allowed

default _obligations := []

_obligations := [{"type": "settle", "href": concat("", ["/v1/holds/", _hold.id, "/settle"])}] if _hold != null

_obligations := [{"type": "hold", "href": "/v1/holds", "body": _hold_body}] if {
	config.holds_by_gateway
	_allowed
}

# A call without arguments or usage gives the service nothing to estimate again; the amount is known here.
_hold_body := object.union(input, {"amount_usd": cost.upper_bound_usd}) if {
	object.get(input, "arguments", {}) == {}
	object.get(input, "usage", null) == null
} else := input

# Only a hold this very evaluation made is let go. A `duplicate` belongs to an earlier evaluation of the same request,
# which may have allowed it: the call may be running on that money now, and releasing would leave its cost unbooked.
# What is kept too long this way is little, and expires.
_release_wanted if {
	not _allowed
	budget.hold.outcome == "held"
}

_released if facts.release(budget.hold.id).status_code == 200

default _release_failed := set()

_release_failed := {constructor.new("release_failed", message, "budget", details)} if {
	_release_wanted
	not _released
	details := object.filter(budget.hold, ["id", "amount_usd", "expires_at"])
	message := sprintf("the money held for this denied call is not released; it expires at %s", [details.expires_at])
}
