# METADATA
# title: Budget
# description: |
#   Where every budget and quota above the caller stands, for policies to read, and the reasons that follow from it. A
#   window without a limit has no remaining amount: what is asked of it is undefined.
# scope: package
package sark.budget

import data.sark.config
import data.sark.facts
import data.sark.money
import data.sark.reasons as constructor

# METADATA
# title: Overall status
# description: ok, warning, exceeded, unknown_account, unavailable or none.
status := facts.known.budget.status

# METADATA
# title: One entry for each account and window, leaf first
accounts := facts.known.budget.accounts

# METADATA
# title: One entry for each quota and window, leaf first
quotas := facts.known.budget.quotas

# METADATA
# title: Tokens or calls left to a kind of account in a window
# description: The least, should several accounts of that kind lie above the caller. Undefined without such a quota.
remaining(unit, kind, window) := min([quota.remaining |
	some quota in quotas
	quota.unit == unit
	quota.kind == kind
	quota.window == window
])

# METADATA
# title: The window that blocks this call, null if none does
blocks := facts.known.budget.blocked_by

# METADATA
# title: USD left to a kind of account (org, team, principal, …) in a window (day, month)
# description: The least, should several accounts of that kind lie above the caller.
remaining_usd(kind, window) := min([account.remaining_usd |
	some account in _windows(kind, window)
	account.remaining_usd != null
])

# METADATA
# title: Percent used by a kind of account in a window, what is held included
percent_used(kind, window) := max([account.percent_used |
	some account in _windows(kind, window)
	account.percent_used != null
])

# METADATA
# title: USD spent by a kind of account in a window
spent_usd(kind, window) := max([account.spent_usd | some account in _windows(kind, window)])

# METADATA
# title: The hold that stands for this request
# description: Undefined unless money was asked for and is held.
hold := facts.known.budget.hold if {
	config.holds_in_decision
	facts.known.budget.hold.state == "held"
	facts.known.budget.hold.outcome in {"held", "duplicate"}
}

# METADATA
# title: Reasons of the budget
# scope: document
reasons contains _blocked if blocks != null

reasons contains _blocked if status == "exceeded"

# The last form needs no field, so that a figure nobody can word still denies.
_blocked := constructor.new("quota_exceeded", message, "budget", details) if {
	blocked := blocks
	blocked.unit in {"tokens", "calls"}
	details := object.filter(
		blocked,
		["account", "unit", "window", "limit", "remaining", "needed", "resets_at"],
	)
	message := sprintf("%s has %d of its %d %s left %s, this call may use %d; the quota resets at %s", [
		_title(blocked),
		max([0, blocked.remaining]),
		blocked.limit,
		blocked.unit,
		_period(blocked.window),
		blocked.needed,
		blocked.resets_at,
	])
} else := constructor.new("budget_exceeded", message, "budget", details) if {
	blocked := blocks
	blocked.unit == "usd"
	details := {
		"account": blocked.account,
		"window": blocked.window,
		"limit_usd": blocked.limit_usd,
		"remaining_usd": blocked.remaining_usd,
		"needed_usd": blocked.needed_usd,
		"resets_at": blocked.resets_at,
		"fits": _object(blocked.fits),
	}
	message := sprintf("%s has %s left %s, this call may cost %s", [
		_title(blocked),
		_left(blocked.remaining_usd),
		_period(blocked.window),
		money.at_most(blocked.needed_usd),
	])
} else := constructor.new("budget_exceeded", "a budget is exceeded", "budget", {"fits": {}})

reasons contains constructor.new("unknown_account", message, "budget", {"account": facts.known.budget.unknown}) if {
	status == "unknown_account"
	message := sprintf("%s is not registered", [_unknown])
}

reasons contains constructor.new("budget_unavailable", "the budget cannot be looked up", "budget", {}) if {
	status == "unavailable"
	not _explained
}

reasons contains constructor.new("request_id_conflict", message, "budget", {}) if {
	facts.known.budget.hold.outcome == "conflict"
	not _explained
	message := "this request_id was used before for a different request"
}

reasons contains constructor.new("hold_ended", message, "budget", details) if {
	config.holds_in_decision
	facts.known.budget.hold.outcome != "conflict"
	not hold
	details := {"hold": facts.known.budget.hold.id, "state": facts.known.budget.hold.state}
	message := sprintf("this request_id was used before and its hold is %s; use a new one", [details.state])
}

# METADATA
# title: Warnings of the budget
# scope: document
warnings contains _warning(account) if {
	some account in accounts
	account.percent_used >= config.warns_from_percent
	account.enforcement != "shadow"
}

warnings contains constructor.new("quota_warning", message, "budget", details) if {
	some quota in quotas
	quota.percent_used >= config.warns_from_percent
	quota.enforcement != "shadow"
	details := object.remove(quota, ["kind", "used", "held"])
	message := sprintf("%s has used %v%% of its %s %s", [
		_title(quota),
		round(quota.percent_used),
		quota.unit,
		_period(quota.window),
	])
}

_warning(account) := constructor.new("budget_warning", message, "budget", details) if {
	details := object.filter(
		account,
		["account", "window", "limit_usd", "remaining_usd", "percent_used", "resets_at", "enforcement"],
	)
	message := sprintf("%s has used %v%% of its budget %s", [
		_title(account),
		round(account.percent_used),
		_period(account.window),
	])
}

_windows(kind, window) := [account |
	some account in accounts
	account.kind == kind
	account.window == window
]

_explained if {
	some error in facts.known.errors
	error.source == "budget"
}

# "acme/team/ml" is team ml, "acme" is org acme.
_title(account) := sprintf("%s %s", [account.kind, name]) if {
	parts := split(account.account, "/")
	name := concat("/", array.slice(parts, min([2, count(parts) - 1]), count(parts)))
}

_left(usd) := "nothing" if {
	usd <= 0
} else := money.at_least(usd)

_period("day") := "today"

_period("month") := "this month"

_object(value) := value if {
	is_object(value)
} else := {}

default _unknown := "the account of this principal"

_unknown := sprintf("account %s", [facts.known.budget.unknown]) if facts.known.budget.unknown != null
