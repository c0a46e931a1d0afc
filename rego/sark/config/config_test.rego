# METADATA
# title: Tests of data.sark.config
# scope: package
package sark.config_test

import data.sark.config

test_url_from_data if {
	config.url("/v1/facts") == "http://127.0.0.1:8088/v1/facts" with opa.runtime as {"env": {}}
		with data.sark.config.service as {"url": "http://127.0.0.1:8088/", "socket": null}
}

test_socket_in_data_comes_before_its_url if {
	url := "unix://localhost/v1/facts?socket=%2Frun%2Fsark.sock"
	config.url("/v1/facts") == url with opa.runtime as {"env": {}}
		with data.sark.config.service as {"url": "http://127.0.0.1:8088", "socket": "/run/sark.sock"}
}

test_url_in_environment_comes_before_a_socket_in_data if {
	config.url("/x") == "https://sark.example/x" with opa.runtime as {"env": {"SARK_SERVICE_URL": "https://sark.example/"}}
		with data.sark.config.service as {"url": "http://127.0.0.1:8088", "socket": "/run/sark.sock"}
}

test_socket_in_environment_comes_first if {
	environment := {"SARK_SERVICE_URL": "http://a", "SARK_SERVICE_SOCKET": "/s"}
	config.url("/x") == "unix://localhost/x?socket=%2Fs" with opa.runtime as {"env": environment}
}

test_empty_variables_count_as_unset if {
	environment := {"SARK_SERVICE_URL": "", "SARK_SERVICE_SOCKET": "", "SARK_FACTS_TOKEN": ""}
	config.url("/x") == "http://b/x" with opa.runtime as {"env": environment}
		with data.sark.config.service as {"url": "http://b", "socket": null}
	config.headers("a/b") == {"Content-Type": "a/b"} with opa.runtime as {"env": environment}
}

test_headers_carry_the_token if {
	headers := {"Content-Type": "a/b", "Authorization": "Bearer s3cret"}
	config.headers("a/b") == headers with opa.runtime as {"env": {"SARK_FACTS_TOKEN": "s3cret"}}
}

# Anyone who may query OPA can read this package as a document.
test_the_environment_is_in_no_document if {
	document := data.sark.config with opa.runtime as {"env": {"SARK_FACTS_TOKEN": "s3cret"}}
	not contains(json.marshal(document), "s3cret")
}

test_the_shipped_data_has_no_faults if {
	config.faults == set()
}

test_faults_name_each_field[name] if {
	some name, value in {
		"hold_mode": "in-decision",
		"default_price": "allow",
		"warn_percent": "80",
		"timeout": 2,
		"deadline_ms": 0.5,
	}
	data_with_fault := object.union(_right, {name: value})
	faults := config.faults with data.sark.config.hold_mode as data_with_fault.hold_mode
		with data.sark.config.default_price as data_with_fault.default_price
		with data.sark.config.warn_percent as data_with_fault.warn_percent
		with data.sark.config.timeout as data_with_fault.timeout
		with data.sark.config.deadline_ms as data_with_fault.deadline_ms
	count(faults) == 1
	some fault in faults
	startswith(fault, concat("", [name, " has to be "]))
}

test_a_switch_of_another_value_counts_as_the_stricter_one[note] if {
	some note, value in {"misspelt": "None", "null": null, "boolean": false}
	config.holds_in_decision with data.sark.config.hold_mode as value
	not config.holds_by_gateway with data.sark.config.hold_mode as value
	not config.allows_default_price with data.sark.config.default_price as value
}

test_the_threshold_of_warnings[note] if {
	some note, [value, percent] in {"as set": [50, 50], "above all": [1000, 100], "a text": ["80", 0], "null": [null, 0]}
	config.warns_from_percent == percent with data.sark.config.warn_percent as value
}

_right := {
	"hold_mode": "in_decision",
	"default_price": "warn",
	"warn_percent": 80,
	"timeout": "2s",
	"deadline_ms": 1500,
}
