# METADATA
# title: The request
# description: |
#   Checks the input before anything is asked of the service. Only the fields of the input schema are known: a misspelt
#   one would otherwise silently lose a team or a token count. What the fields hold beyond that is the service's to
#   check, and comes back as `input_invalid` with the field's path.
# scope: package
# schemas:
#   - input: schema.input
package sark.request

import data.sark.config
import data.sark.reasons as constructor

# METADATA
# title: What is wrong with the input
# scope: document
reasons contains constructor.new("input_invalid", message, "input", {"path": path}) if {
	is_object(input)
	some path in ({"principal.id", "principal.org", "resource.id", "capability.id"} - _given)
	message := sprintf("%s is missing, empty or no text", [path])
}

reasons contains constructor.new("input_invalid", message, "input", {"path": key}) if {
	some key in (object.keys(input) - {
		"request_id", "principal", "resource", "capability",
		"action", "arguments", "environment", "usage",
	})
	message := sprintf("%s is no field of the input; own fields belong into environment or principal.attributes", [key])
}

reasons contains constructor.new("request_id_missing", message, "input", {"path": "request_id"}) if {
	_holding
	object.get(input, "request_id", null) in {null, ""}
	message := "request_id is needed to hold money; give every request its own and repeat it on a retry"
}

# A set of what is there, not of what is missing: `not is_string(input.principal.id)` would be undefined, so report
# nothing, without a principal.
_given contains "principal.id" if {
	is_string(input.principal.id)
	input.principal.id != ""
}

_given contains "principal.org" if {
	is_string(input.principal.org)
	input.principal.org != ""
}

_given contains "resource.id" if {
	is_string(input.resource.id)
	input.resource.id != ""
}

_given contains "capability.id" if {
	is_string(input.capability.id)
	input.capability.id != ""
}

_holding if config.holds_in_decision

_holding if config.holds_by_gateway
