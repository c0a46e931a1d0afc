# METADATA
# title: What decision logs leave out
# description: |
#   Prompts, and everything OPA records of http.send: that holds the service's token and the prompts once more. Of the
#   provider's request body only plain parameters are kept; a field nobody has heard of may be a prompt.
# scope: package
package system.log

# METADATA
# title: Paths to erase
# scope: document
mask contains "/nd_builtin_cache"

mask contains sprintf("/input/arguments/%s", [key]) if {
	_arguments_are_addressable
	some key, value in input.input.arguments
	not _is_parameter(key, value)
}

mask contains "/input/arguments" if not _arguments_are_addressable

# A misspelt field may hold a prompt as well.
mask contains "/input" if not _input_is_known

mask contains sprintf("/result/obligations/%d/body/arguments", [i]) if {
	some i, obligation in input.result.obligations
	obligation.body.arguments
}

# Whoever asks for a whole package, for a part of the decision or by a query of his own gets the obligation elsewhere.
mask contains "/result" if not _result_is_known

# OPA escapes a path before it looks a key up, so other keys could not be reached one by one.
_arguments_are_addressable if {
	every key in object.keys(input.input.arguments) {
		regex.match(`^[A-Za-z0-9_.-]+$`, key)
	}
}

_input_is_known if {
	count(object.keys(input.input) - {
		"request_id", "principal", "resource", "capability",
		"action", "arguments", "environment", "usage",
	}) == 0
}

_result_is_known if _path in {"sark/authz/decision", "sark/authz/preview", "sark/authz/allow"}

# Decisions of other bundles in the same OPA.
_result_is_known if not _top in {"", "sark"}

_top := split(_path, "/")[0]

default _path := ""

_path := trim_left(input.path, "/")

_is_parameter(key, value) if {
	type_name(value) in {"string", "number", "boolean", "null"}
	key in {
		"model", "modelId", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "stream",
		"temperature", "top_p", "top_k", "service_tier", "reasoning_effort", "encoding_format", "dimensions",
	}
}
