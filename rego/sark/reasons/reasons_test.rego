# METADATA
# title: Tests of data.sark.reasons
# scope: package
package sark.reasons_test

import data.sark.reasons

test_new if {
	reasons.new("c", "m", "s", {"d": 1}) == {"code": "c", "message": "m", "source": "s", "details": {"d": 1}}
}

test_of_policy_takes_any_form[note] if {
	some note, said in {
		"set": {"no"},
		"array": ["no"],
		"text": "no",
		"object": {"message": "no"},
	}
	reasons.of_policy("mine", said, "policy_denied") == {{
		"code": "policy_denied",
		"message": "no",
		"source": "policies.mine",
		"details": {},
	}}
}

test_of_policy_keeps_what_it_does_not_know if {
	said := {{"code": "c", "message": "m", "ticket": 7}}
	reasons.of_policy("mine", said, "policy_denied") == {reasons.new("c", "m", "policies.mine", {"ticket": 7})}
}

test_of_policy_is_empty_where_nothing_is_said[note] if {
	some note, said in {"false": false, "null": null, "object": {}, "array": [], "set": set()}
	reasons.of_policy("mine", said, "policy_denied") == set()
}

test_in_order if {
	given := {reasons.new("b", "", source, {}) | some source in _sources}
	[reason.source | some reason in reasons.in_order(given)] == _sources
}

test_in_order_by_content_within_a_source if {
	given := {reasons.new(code, "", "budget", {}) | some code in ["z", "a", "m"]}
	[reason.code | some reason in reasons.in_order(given)] == ["a", "m", "z"]
}

_sources := ["input", "config", "facts", "estimate", "budget", "plugins", "policies.a", "policies.b"]
