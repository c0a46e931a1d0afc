# METADATA
# title: Tests of data.policies.example_model_access
# scope: package
package policies.example_model_access_test

import data.policies.example_model_access as policy

test_a_listed_model_is_not_denied if {
	policy.deny_early == set() with input as _call("gpt-4o-mini")
}

test_another_model_is_denied if {
	[denial] := [denial | some denial in policy.deny_early] with input as _call("gpt-4o")
	denial.code == "model_not_allowed"
	"gpt-4o-mini" in denial.details.models
}

test_a_call_without_a_model_is_denied if {
	count(policy.deny_early) == 1 with input as {"principal": {"team": "interns"}, "arguments": {}}
}

test_other_teams_are_free if {
	policy.deny_early == set() with input as {"principal": {"team": "ml"}, "arguments": {"model": "o1"}}
	policy.deny == set() with input as {"principal": {"team": "ml"}} with data.sark.cost.upper_bound_usd as 100
}

test_a_call_up_to_the_ceiling_is_not_denied if {
	policy.deny == set() with input as _call("gpt-4o-mini") with data.sark.cost.upper_bound_usd as 0.05
}

test_a_dearer_call_is_denied if {
	[denial] := [denial | some denial in policy.deny] with input as _call("gpt-4o-mini")
		with data.sark.cost.upper_bound_usd as 0.0501
	denial.details == {"ceiling_usd": 0.05, "upper_bound_usd": 0.0501}
}

_call(model) := {"principal": {"team": "interns"}, "arguments": {"model": model}}
