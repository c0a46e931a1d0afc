# METADATA
# title: Tests of data.sark.budget
# scope: package
package sark.budget_test

import data.sark.budget

test_what_policies_read if {
	budget.status == "ok" with data.sark.facts.known as _facts
	budget.remaining_usd("team", "day") == 3.98 with data.sark.facts.known as _facts
	budget.percent_used("team", "day") == 20.4 with data.sark.facts.known as _facts
	budget.spent_usd("org", "month") == 1 with data.sark.facts.known as _facts
}

test_what_policies_read_of_quotas if {
	quota := {"account": "acme", "kind": "org", "unit": "tokens", "window": "day", "remaining": 7}
	facts := {"budget": {"quotas": [quota, object.union(quota, {"remaining": 3})]}}
	budget.remaining("tokens", "org", "day") == 3 with data.sark.facts.known as facts
	not budget.remaining("calls", "org", "day") with data.sark.facts.known as facts
	not budget.remaining("tokens", "org", "month") with data.sark.facts.known as _facts
}

test_no_limit_has_no_rest if {
	not budget.remaining_usd("principal", "day") with data.sark.facts.known as _facts
	not budget.percent_used("principal", "day") with data.sark.facts.known as _facts
}

test_what_is_not_there_is_undefined if {
	not budget.spent_usd("project", "day") with data.sark.facts.known as _facts
	not budget.status with data.sark.facts.known as {}
	not budget.remaining_usd("team", "day") with data.sark.facts.known as {}
}

test_the_tightest_of_two_teams_counts if {
	[team] := [account | some account in _facts.budget.accounts; account.kind == "team"]
	outer := object.union(team, {"account": "acme/team/research", "remaining_usd": 0.5, "percent_used": 90})
	facts := {"budget": {"accounts": [team, outer]}}
	budget.remaining_usd("team", "day") == 0.5 with data.sark.facts.known as facts
	budget.percent_used("team", "day") == 90 with data.sark.facts.known as facts
}

test_a_hold_stands_only_while_it_is_held[note] if {
	some note, change in {
		"settled": {"state": "settled"},
		"ended": {"outcome": "ended"},
		"conflict": {"outcome": "conflict"},
	}
	facts := {"budget": {"hold": object.union(_facts.budget.hold, change)}}
	not budget.hold with data.sark.facts.known as facts
}

test_a_hold_nobody_asked_for_does_not_stand if {
	not budget.hold with data.sark.facts.known as _facts with data.sark.config.hold_mode as "none"
}

test_a_block_that_cannot_be_described_still_denies if {
	facts := {"budget": {"status": "ok", "blocked_by": {"account": "acme"}}}
	["budget_exceeded"] == [reason.code | some reason in budget.reasons] with data.sark.facts.known as facts
}

test_money_is_compared_by_its_exact_digits if {
	[team] := [account | some account in _facts.budget.accounts; account.kind == "team"]
	more := object.union(team, {"remaining_usd": 123456789012.123456789})
	less := object.union(team, {"remaining_usd": 123456789012.123456788})
	facts := {"budget": {"accounts": [more, less]}}
	budget.remaining_usd("team", "day") == 123456789012.123456788 with data.sark.facts.known as facts
	budget.remaining_usd("team", "day") < 123456789012.123456789 with data.sark.facts.known as facts
}

_facts := data.cases.base.facts
