# METADATA
# title: Tests of data.system.log
# scope: package
package system.log.log_test

import data.system.log

test_prompts_are_erased[field] if {
	some field in ["messages", "system", "input", "prompt", "tools", "contents", "a_field_of_tomorrow"]
	event := _event({"arguments": {"model": "gpt-4o", field: "tell me"}})
	{"/nd_builtin_cache", concat("/", ["/input/arguments", field])} == log.mask with input as event
}

test_parameters_are_kept if {
	event := _event({"arguments": {"model": "gpt-4o", "max_tokens": 1, "stream": true}})
	{"/nd_builtin_cache"} == log.mask with input as event
}

test_a_parameter_that_is_no_scalar_is_erased if {
	event := _event({"arguments": {"model": {"prompt": "tell me"}}})
	"/input/arguments/model" in log.mask with input as event
}

test_fields_that_cannot_be_addressed_take_all_arguments_along[key] if {
	some key in ["a/b", "a b", "ä", ""]
	event := _event({"arguments": {"model": "gpt-4o", key: "tell me"}})
	"/input/arguments" in log.mask with input as event
}

test_arguments_that_are_no_object_are_erased[note] if {
	some note, arguments in {"text": "tell me", "array": ["tell me"]}
	"/input/arguments" in log.mask with input as _event({"arguments": arguments})
}

test_an_input_that_is_not_ours_is_erased[note] if {
	some note, event in {
		"text": {"input": "tell me"},
		"misspelt": _event({"argument": {"messages": []}}),
		"none": {},
	}
	"/input" in log.mask with input as event
}

test_prompts_in_an_obligation_are_erased if {
	event := object.union(_event({}), {"result": {"obligations": [
		{"type": "settle", "href": "/"},
		{"type": "hold", "href": "/", "body": {"arguments": {"messages": []}}},
	]}})
	"/result/obligations/1/body/arguments" in log.mask with input as event
}

test_a_result_of_another_shape_is_erased[path] if {
	some path in ["sark/authz", "sark", "", "sark/authz/decision/obligations", "/sark/facts"]
	"/result" in log.mask with input as object.union(_event({}), {"path": path})
}

test_a_result_of_a_query_is_erased if {
	"/result" in log.mask with input as json.remove(_event({}), ["path"])
}

test_decisions_are_kept[path] if {
	some path in ["sark/authz/decision", "/sark/authz/decision", "sark/authz/preview", "sark/authz/allow", "other/allow"]
	not "/result" in log.mask with input as object.union(_event({}), {"path": path})
}

_event(changes) := {"path": "sark/authz/decision", "input": object.union(whole, changes)} if {
	whole := {"request_id": "r-1", "principal": {"id": "user-123", "org": "acme"}}
}
