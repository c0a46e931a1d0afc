# METADATA
# title: Shape of the facts
# description: |
#   Decides whether an answer of the service is facts at all. Every documented field has to be there with its type,
#   and every figure a decision rests on within its range: an answer that is only nearly right comes from something
#   that is not this service, or not this version of it, and must not allow anything. Unknown fields may be added, and
#   figures that can only deny (an unpriced or unbounded cost) are not looked at.
#
#   Written out field by field and as a set of what is whole, because this runs on every decision: a table of types
#   took three times as long, json.match_schema seven times, and `not is_string(body.field)` would be undefined, so
#   report nothing, where the field is missing. schemas/facts.json says the same for `opa check`.
# scope: package
package sark.facts.shape

import data.sark.facts

# METADATA
# title: Parts of the answer that are missing or wrong
faults := _parts - _whole

_parts := {
	"answer", "estimate", "budget", "budget.accounts", "budget.quotas", "budget.blocked_by", "budget.hold",
	"verdicts", "errors",
}

_whole contains "answer" if {
	answer := facts.response.body
	is_string(answer.id)
	is_number(answer.age_ms)
	is_boolean(answer.degraded)
	type_name(answer.price_revision) in {"string", "null"}
}

_whole contains "estimate" if {
	estimate := facts.response.body.estimate
	estimate.status in {"priced", "free", "default"}
	estimate.bound in {"exact", "closed", "window"}
	_is_amount(estimate.expected_usd)
	_is_amount(estimate.upper_bound_usd)
	estimate.expected_usd <= estimate.upper_bound_usd
	type_name(estimate.provider) in {"string", "null"}
	type_name(estimate.model) in {"string", "null"}
	type_name(estimate.price_revision) in {"string", "null"}
	type_name(estimate.tokens) in {"object", "null"}
}

_whole contains "estimate" if {
	facts.response.body.estimate.status in {"unpriced", "error"}
}

_whole contains "estimate" if {
	facts.response.body.estimate.status in {"priced", "free", "default"}
	facts.response.body.estimate.bound == "none"
}

_whole contains "budget" if {
	budget := facts.response.body.budget
	budget.status in {"ok", "warning", "exceeded"}
	count(budget.accounts) > 0
	type_name(budget.unknown) in {"string", "null"}
}

_whole contains "budget" if {
	budget := facts.response.body.budget
	budget.status in {"unknown_account", "unavailable", "none"}
	type_name(budget.unknown) in {"string", "null"}
}

_whole contains "budget.accounts" if {
	accounts := facts.response.body.budget.accounts
	is_array(accounts)
	count(accounts) == count([1 |
		some account in accounts
		is_string(account.account)
		is_string(account.kind)
		is_string(account.window)
		is_string(account.enforcement)
		is_string(account.resets_at)
		is_number(account.spent_usd)
		is_number(account.held_usd)
		_has_limit_or_none(account)
	])
}

_whole contains "budget.quotas" if facts.response.body.budget.quotas == []

_whole contains "budget.quotas" if {
	quotas := facts.response.body.budget.quotas
	is_array(quotas)
	count(quotas) == count([1 |
		some quota in quotas
		is_string(quota.account)
		is_string(quota.kind)
		quota.unit in {"tokens", "calls"}
		is_string(quota.window)
		is_string(quota.enforcement)
		is_string(quota.resets_at)
		is_number(quota.limit)
		is_number(quota.used)
		is_number(quota.held)
		is_number(quota.remaining)
		is_number(quota.percent_used)
	])
}

_whole contains "budget.blocked_by" if facts.response.body.budget.blocked_by == null

_whole contains "budget.blocked_by" if {
	blocked := facts.response.body.budget.blocked_by
	is_string(blocked.account)
	is_string(blocked.kind)
	blocked.window in {"day", "month"}
	is_string(blocked.resets_at)
	is_number(blocked.needed_usd)
	type_name(blocked.limit_usd) in {"number", "null"}
	type_name(blocked.remaining_usd) in {"number", "null"}
	type_name(blocked.fits) in {"object", "null"}
	blocked.unit in {"usd", "tokens", "calls"}
	type_name(blocked.limit) in {"number", "null"}
	type_name(blocked.remaining) in {"number", "null"}
	type_name(blocked.needed) in {"number", "null"}
}

_whole contains "budget.hold" if facts.response.body.budget.hold == null

# The id becomes part of a URL.
_whole contains "budget.hold" if {
	hold := facts.response.body.budget.hold
	regex.match(`^[A-Za-z0-9._~-]+$`, hold.id)
	hold.state in {"held", "settled", "released", "expired"}
	hold.outcome in {"held", "duplicate", "ended", "conflict"}
	_is_amount(hold.amount_usd)
	is_string(hold.expires_at)
}

_whole contains "verdicts" if {
	verdicts := facts.response.body.verdicts
	is_array(verdicts)
	count(verdicts) == count([1 |
		some verdict in verdicts
		is_string(verdict.plugin)
		is_string(verdict.version)
		is_boolean(verdict.allowed)
		is_string(verdict.reason)
		is_object(verdict.metadata)
		is_string(verdict.status)
		is_boolean(verdict.skipped)
		is_number(verdict.elapsed_ms)
	])
}

_whole contains "errors" if {
	errors := facts.response.body.errors
	is_array(errors)
	count(errors) == count([1 |
		some error in errors
		is_string(error.code)
		is_string(error.message)
		is_string(error.source)
	])
}

# A limit comes with what is left of it; without one both are null.
_has_limit_or_none(account) if {
	account.limit_usd == null
	account.remaining_usd == null
	account.percent_used == null
}

_has_limit_or_none(account) if {
	is_number(account.limit_usd)
	is_number(account.remaining_usd)
	is_number(account.percent_used)
}

# Not negative, and below what could only be nonsense such as 1e9999. In OPA's order null and booleans come before all
# numbers, and texts after them, so nothing but a number passes both.
_is_amount(usd) if {
	usd >= 0
	usd <= 1000000000000
}
