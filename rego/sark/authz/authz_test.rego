# METADATA
# title: Tests of data.sark.authz
# scope: package
package sark.authz_test

import data.sark.authz

test_allow_is_the_decision_as_one_boolean if {
	authz.allow with input as _input with http.send as _facts with data.policies as {}
	not authz.allow with input as _input with http.send as _nothing with data.policies as {}
	not authz.allow with input as {}
}

test_allow_is_false_where_there_is_no_decision if {
	authz.allow == false with data.sark.authz.decision as {}
}

# A set can only be united with a set: the reasons are undefined then, and with them whether anybody objects.
test_a_part_without_a_value_denies if {
	decision := authz.decision with input as _input
		with http.send as _facts with data.policies as {}
		with data.sark.cost.reasons as "no set"
	decision.allow == false
	["the decision cannot be worked out"] == [reason.message | some reason in decision.reasons]
}

test_silence_is_no_permission[path] if {
	some path, value in {
		"estimate/status": "unpriced",
		"estimate/bound": "none",
		"budget/status": "exceeded",
		"budget/blocked_by": {},
		"errors": [{}],
	}
	facts := json.patch(data.cases.base.facts, [{"op": "replace", "path": path, "value": value}])
	decision := authz.decision with input as _input
		with data.sark.facts.known as facts
		with data.sark.facts.reasons as set()
		with data.sark.cost.reasons as set()
		with data.sark.budget.reasons as set()
		with http.send as _facts
		with data.policies as {}
	decision.allow == false
	["the facts do not support this call"] == [reason.message | some reason in decision.reasons]
}

test_settling_is_an_obligation if {
	decision := authz.decision with input as _input with http.send as _facts with data.policies as {}
	decision.hold == {"id": "h-1", "amount_usd": 0.02, "expires_at": "2026-01-01T00:10:00Z"}
	decision.obligations == [{"type": "settle", "href": "/v1/holds/h-1/settle"}]
}

test_holding_is_an_obligation if {
	decision := authz.decision with input as _input
		with http.send as _facts with data.policies as {}
		with data.sark.config.hold_mode as "by_gateway"
	decision.hold == null
	decision.obligations == [{"type": "hold", "href": "/v1/holds", "body": _input}]
}

test_holding_for_a_call_without_arguments_names_the_amount if {
	bare := json.remove(_input, ["arguments"])
	decision := authz.decision with input as bare
		with http.send as _facts with data.policies as {}
		with data.sark.config.hold_mode as "by_gateway"
	decision.obligations[0].body == object.union(bare, {"amount_usd": 0.02})
}

test_facts_are_in_the_decision if {
	decision := authz.decision with input as _input with http.send as _facts with data.policies as {}
	decision.estimate == data.cases.base.facts.estimate
	decision.budget == data.cases.base.facts.budget
	decision.verdicts == data.cases.base.facts.verdicts
	decision.facts == {
		"id": "7d1f0c1e-0000-4000-8000-000000000001",
		"age_ms": 0,
		"degraded": false,
		"price_revision": data.cases.base.facts.price_revision,
	}
}

test_unknown_is_null if {
	decision := authz.decision with input as _input with http.send as _nothing with data.policies as {}
	[decision.estimate, decision.budget, decision.hold] == [null, null, null]
	[decision.verdicts, decision.obligations] == [[], []]
	decision.facts == {"id": null, "age_ms": null, "degraded": null, "price_revision": null}
}

test_policies_see_the_facts_in_a_preview_too if {
	preview := authz.preview with input as object.union(_input, {"principal": {"team": "interns"}})
		with http.send as _facts
		with data.policies.example_model_access.models_by_team as {}
		with data.policies.example_model_access.ceiling_usd_by_team as {"interns": 0.001}
	"call_too_dear" in {reason.code | some reason in preview.reasons}
}

_input := data.cases.base.input

_facts(_) := {"status_code": 200, "body": data.cases.base.facts}

_nothing(_) := {"status_code": 500, "body": null}
