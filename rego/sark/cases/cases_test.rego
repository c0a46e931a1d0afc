# METADATA
# title: Decision cases
# description: |
#   Runs every case of the YAML files in rego/cases with a mocked service. A failure shows the topic and the name of the
#   case. tests/opa runs those with a `live` section against a running stack as well.
# scope: package
package sark.cases_test

import data.sark.authz

test_decision[topic][name] if {
	some topic, cases in object.remove(data.cases, {"base"})
	some name, case in cases
	decision := _decision(case)

	decision.allow == case.expect.allow
	[reason.code | some reason in decision.reasons] == object.get(case.expect, "codes", [])
	[warning.code | some warning in decision.warnings] == object.get(case.expect, "warnings", [])
	_is_held(decision) == object.get(case.expect, "held", decision.allow)
	_obligations(decision) == object.get(case.expect, "obligations", _settle_if(_is_held(decision)))
	_says(decision, object.get(case.expect, "messages", []))
	_first(decision, "source", case.expect)
	object.subset(_details(decision), object.get(case.expect, "details", {}))
	_is_complete(decision)
}

test_every_topic_has_cases if {
	object.keys(data.cases) == {"base", "budget", "estimate", "facts", "holds", "input", "plugins", "policies"}
	sum([count(cases) | some topic, cases in data.cases; topic != "base"]) >= 40
}

# As it goes over the wire: sets become arrays.
_decision(case) := json.unmarshal(json.marshal(decision)) if {
	decision := _with_policies(case) with input as _input(case)
		with http.send as _answer
		with data.case as case
}

# Only the policies a case names, so that authors can add theirs without changing any case.
_with_policies(case) := decision if {
	decision := _ruled(case) with data.policies as {case.policy: data.policies[case.policy]}
} else := decision if {
	decision := _ruled(case) with data.policies as object.get(case, "policies", {})
}

_ruled(case) := authz.preview if {
	case.rule == "preview"
} else := decision if {
	config := object.union(data.cases.base.config, object.get(case, "config", {}))
	decision := authz.decision with data.sark.config.hold_mode as config.hold_mode
		with data.sark.config.default_price as config.default_price
		with data.sark.config.warn_percent as config.warn_percent
}

# Removed first, so that a case can also put something of another type in its place.
_input(case) := null if {
	case.no_input
} else := object.union(json.remove(data.cases.base.input, removed), changes) if {
	removed := object.get(case, "remove", [])
	changes := object.get(case, "input", {})
}

# Stands for http.send. Money is asked for exactly when the mode says so.
_answer(request) := object.get(data.case, "response", {"status_code": 200, "body": _facts}) if {
	endswith(request.url, "/v1/facts")
	holding := data.sark.config.hold_mode in {"in_decision", "in-decision"}
	request.body.hold == holding
}

_answer(request) := object.get(data.case, "release", {"status_code": 200}) if {
	endswith(request.url, "/v1/holds/h-1/release")
}

# `unset` first, for the same reason.
_facts := object.union(json.remove(data.cases.base.facts, unset), object.get(data.case, "facts", {})) if {
	unset := object.get(data.case, "unset", [])
}

_is_held(decision) := decision.hold != null

_obligations(decision) := [obligation.type | some obligation in decision.obligations]

_settle_if(true) := ["settle"]

_settle_if(false) := []

_says(decision, messages) if {
	said := {entry.message | some entry in array.concat(decision.reasons, decision.warnings)}
	every message in messages {
		message in said
	}
}

_first(decision, key, expect) if expect[key] == decision.reasons[0][key]

_first(_, key, expect) if not key in object.keys(expect)

_details(decision) := decision.reasons[0].details

_details(decision) := {} if count(decision.reasons) == 0

_is_complete(decision) if {
	object.keys(decision) == {
		"allow", "reasons", "warnings", "estimate", "budget",
		"verdicts", "hold", "obligations", "facts",
	}
	object.keys(decision.facts) == {"id", "age_ms", "degraded", "price_revision"}
	nobody_objects := count(decision.reasons) == 0
	decision.allow == nobody_objects
}
