# METADATA
# title: Tests of data.sark.facts.shape
# scope: package
package sark.facts.shape_test

import data.sark.facts.shape

test_whole if {
	_faults(_body) == set()
}

test_nothing[note] if {
	some note, body in {"null": null, "text": "allow", "array": [], "object": {}, "number": 1}
	count(_faults(body)) == 9
}

test_each_part_is_missed[part] if {
	some part in ["estimate", "verdicts", "errors", "budget/quotas", "budget/blocked_by", "budget/hold"]
	_faults(json.remove(_body, [part])) == {replace(part, "/", ".")}
}

test_accounts_are_missed if {
	_faults(json.remove(_body, ["budget/accounts"])) == {"budget", "budget.accounts"}
}

test_each_field_is_missed[path] if {
	some path, part in _fields
	_faults(json.remove(_body, [path])) == {part}
}

test_each_field_has_its_type[path] if {
	some path, part in _fields
	value := {"a type": "none of these fields has"}
	faults := _faults(json.patch(_body, [{"op": "replace", "path": path, "value": [value]}]))
	faults == {part}
}

test_an_amount_is_a_number_within_reason[note][path] if {
	some note, amount in {"negative": -0.01, "huge": 1e30, "text": "1", "null": null, "boolean": true}
	some path in ["estimate/upper_bound_usd", "budget/hold/amount_usd"]
	count(_faults(json.patch(_body, [{"op": "replace", "path": path, "value": amount}]))) == 1
}

test_a_limit_comes_with_what_is_left if {
	change := {"op": "replace", "path": "budget/accounts/1/remaining_usd", "value": null}
	_faults(json.patch(_body, [change])) == {"budget.accounts"}
}

_faults(body) := faults if {
	faults := shape.faults with data.sark.facts.response as {"status_code": 200, "body": body}
}

_body := json.patch(data.cases.base.facts, [
	{
		"op": "replace", "path": "budget/blocked_by",
		"value": {
			"account": "acme/team/ml", "kind": "team", "window": "day", "limit_usd": 5, "remaining_usd": 0.3,
			"needed_usd": 0.8, "resets_at": "2026-01-02T00:00:00Z", "fits": {"max_tokens": 150},
			"unit": "usd", "limit": null, "remaining": null, "needed": null,
		},
	},
	{
		"op": "replace", "path": "budget/quotas",
		"value": [{
			"account": "acme", "kind": "org", "unit": "calls", "window": "day", "limit": 10, "used": 3, "held": 1,
			"remaining": 6, "percent_used": 40, "resets_at": "2026-01-02T00:00:00Z", "enforcement": "hard",
		}],
	},
	{
		"op": "add", "path": "errors/-",
		"value": {"code": "c", "message": "m", "source": "budget"},
	},
])

# Path of a field, and the part of the answer that is faulty without it.
_fields[concat("", [prefix, name])] := part if {
	some prefix, [part, names] in {
		"": ["answer", ["id", "age_ms", "degraded", "price_revision"]],
		"estimate/": ["estimate", [
			"status", "bound", "expected_usd", "upper_bound_usd",
			"provider", "model", "price_revision", "tokens",
		]],
		"budget/": ["budget", ["status", "unknown"]],
		"budget/accounts/1/": ["budget.accounts", [
			"account", "kind", "window", "enforcement", "resets_at",
			"spent_usd", "held_usd", "limit_usd", "remaining_usd", "percent_used",
		]],
		"budget/blocked_by/": ["budget.blocked_by", [
			"account", "kind", "window", "resets_at",
			"needed_usd", "limit_usd", "remaining_usd", "fits",
			"unit", "limit", "remaining", "needed",
		]],
		"budget/quotas/0/": ["budget.quotas", [
			"account", "kind", "unit", "window", "enforcement", "resets_at",
			"limit", "used", "held", "remaining", "percent_used",
		]],
		"budget/hold/": ["budget.hold", ["id", "state", "outcome", "amount_usd", "expires_at"]],
		"verdicts/0/": ["verdicts", [
			"plugin", "version", "allowed", "reason",
			"metadata", "status", "skipped", "elapsed_ms",
		]],
		"errors/0/": ["errors", ["code", "message", "source"]],
	}
	some name in names
}
