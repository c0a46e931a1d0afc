# METADATA
# title: Tests of data.sark.request
# scope: package
package sark.request_test

import data.sark.request

test_nothing_is_wrong_with_a_whole_input if {
	request.reasons == set() with input as _whole
}

test_each_field_that_is_needed[path][note] if {
	some path in ["principal.id", "principal.org", "resource.id", "capability.id"]
	some note, value in {"null": null, "empty": "", "number": 1, "object": {}, "array": []}
	faulty := json.patch(_whole, [{"op": "add", "path": concat("/", split(path, ".")), "value": value}])
	{path} == {reason.details.path | some reason in request.reasons} with input as faulty
}

test_each_field_that_is_missing[path] if {
	some path in ["principal.id", "principal.org", "resource.id", "capability.id"]
	faulty := json.remove(_whole, [concat("/", split(path, "."))])
	{path} == {reason.details.path | some reason in request.reasons} with input as faulty
}

test_parts_that_are_no_objects[part][note] if {
	some part in ["principal", "resource", "capability"]
	some note, value in {"null": null, "text": "text", "number": 1, "array": []}
	faulty := object.union(json.remove(_whole, [part]), {part: value})
	paths := {reason.details.path | some reason in request.reasons} with input as faulty
	count(paths) > 0
	every path in paths {
		startswith(path, part)
	}
}

test_an_unknown_field if {
	{"tokens"} == {reason.details.path | some reason in request.reasons} with input as object.union(_whole, {"tokens": 1})
}

test_request_id_is_needed_while_money_is_held[mode] if {
	some mode, needed in {"in_decision": true, "by_gateway": true, "none": false, "misspelt": true}
	missing := "request_id_missing" in {reason.code |
		some reason in request.reasons
	} with input as json.remove(_whole, ["request_id"])
		with data.sark.config.hold_mode as mode
	missing == needed
}

_whole := {
	"request_id": "r-1",
	"principal": {"id": "user-123", "org": "acme"},
	"resource": {"id": "openai"},
	"capability": {"id": "chat.completions"},
}
