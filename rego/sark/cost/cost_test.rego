# METADATA
# title: Tests of data.sark.cost
# scope: package
package sark.cost_test

import data.sark.cost

test_what_policies_read if {
	facts := {"estimate": data.cases.base.facts.estimate}
	cost.status == "priced" with data.sark.facts.known as facts
	cost.expected_usd == 0.01 with data.sark.facts.known as facts
	cost.upper_bound_usd == 0.02 with data.sark.facts.known as facts
	cost.bound == "exact" with data.sark.facts.known as facts
	cost.provider == "openai" with data.sark.facts.known as facts
	cost.model == "gpt-4o" with data.sark.facts.known as facts
	cost.tokens.input == 10 with data.sark.facts.known as facts
}

test_unknown_is_undefined_and_never_0[note] if {
	nothing := {"status": "error", "bound": "none"}
	unknown := {name: null | some name in ["expected_usd", "upper_bound_usd", "provider", "model", "tokens"]}
	some note, facts in {"no facts": {}, "an estimate of nulls": {"estimate": object.union(nothing, unknown)}}
	not cost.expected_usd with data.sark.facts.known as facts
	not cost.upper_bound_usd with data.sark.facts.known as facts
	not cost.provider with data.sark.facts.known as facts
	not cost.model with data.sark.facts.known as facts
	not cost.tokens with data.sark.facts.known as facts
}

test_a_reason_does_not_need_the_model_s_name[status] if {
	some status, code in {"unpriced": "unpriced", "default": "price_default"}
	facts := {"estimate": {"status": status, "bound": "exact"}, "errors": []}
	[reason] := [reason | some reason in cost.reasons] with data.sark.facts.known as facts
		with data.sark.config.default_price as "deny"
	reason.code == code
	reason.details == {"model": null}
	contains(reason.message, "no price is known for this call")
}
