# METADATA
# title: Tests of data.sark.facts
# scope: package
package sark.facts_test

import data.sark.facts

test_the_request if {
	request := facts.response.body with input as _input
		with http.send as _echo with data.policies as {}
		with opa.runtime as {"env": {"SARK_FACTS_TOKEN": "s3cret"}}
	request == {
		"method": "POST",
		"url": "http://127.0.0.1:8088/v1/facts",
		"headers": {"Content-Type": "application/json", "Authorization": "Bearer s3cret"},
		"body": object.union(_input, {"hold": true, "deadline_ms": 1500}),
		"timeout": "2s",
		"raise_error": false,
		"force_json_decode": true,
	}
}

test_the_request_of_a_release if {
	request := facts.release("h-1").body with http.send as _echo with data.policies as {}
		with opa.runtime as {"env": {}}
	request.url == "http://127.0.0.1:8088/v1/holds/h-1/release"
	request.body == {}
}

test_nothing_is_asked_with_a_faulty_input if {
	not facts.response with input as {} with http.send as _echo with data.policies as {}
}

test_nothing_is_asked_after_an_early_denial if {
	not facts.response with input as _input
		with http.send as _echo
		with data.policies as {"a": {"deny_early": ["no"]}}
}

test_nothing_is_known_of_a_faulty_answer if {
	facts.known == {} with input as _input with http.send as _echo with data.policies as {}
}

test_a_request_that_cannot_be_made if {
	[reason] := [reason | some reason in facts.reasons] with input as _input
		with http.send as _refuse with data.policies as {}
		with data.sark.config.timeout as 2
	reason.code == "facts_unavailable"
	count(reason.details.config) == 1
}

_echo(request) := {"status_code": 200, "body": request}

_refuse(request) := request.no_such_field

_input := {
	"request_id": "r-1",
	"principal": {"id": "user-123", "org": "acme"},
	"resource": {"id": "openai"},
	"capability": {"id": "chat.completions"},
}
