# METADATA
# title: Facts
# description: |
#   Asks the service, and is the only place that does. `response` is a complete rule, which OPA evaluates once a
#   query however often policies read what follows from it. Whatever is not a whole, well-formed answer is no facts.
# scope: package
package sark.facts

import data.sark.authors
import data.sark.config
import data.sark.facts.shape
import data.sark.reasons as constructor
import data.sark.request

# METADATA
# title: Nothing speaks against asking
# scope: document
default asked := false

asked if {
	is_object(input)
	count(request.reasons) == 0
	count(authors.deny_early) == 0
}

# METADATA
# title: What the service answered
response := _post("/v1/facts", object.union(input, {
	"hold": config.holds_in_decision,
	"deadline_ms": config.deadline_ms,
})) if {
	asked
}

# METADATA
# title: The facts
# description: |
#   Empty unless the answer is whole, so that a reference to any part of it is undefined when it is unknown. The
#   decision denies then by itself: a policy need not care.
# scope: document
default known := {}

# METADATA
# description: Gives the facts their type, so that `opa check` finds a misspelt field wherever they are read.
# schemas:
#   - data.sark.facts._whole: schema.facts
known := _whole

# METADATA
# title: Why there are no facts, and what the service could not find out
# scope: document
reasons contains _failure if {
	known == {}
	asked
}

reasons contains constructor.new(error.code, error.message, error.source, _details(error)) if {
	some error in known.errors
	not _said_better(error)
}

# METADATA
# title: Ask the service to let go of a hold
release(hold_id) := _post(concat("", ["/v1/holds/", hold_id, "/release"]), {})

# The timeout is a text because a number would be nanoseconds. There are no retries (OPA 1.22 repeats a POST without
# its body), no tls_* option and no Host header (each switches keep-alive off), and no cache (a hold is no look).
_post(path, body) := http.send({
	"method": "POST",
	"url": config.url(path),
	"headers": config.headers("application/json"),
	"body": body,
	"timeout": config.timeout,
	"raise_error": false,
	"force_json_decode": true,
})

_whole := response.body if {
	response.status_code == 200
	count(shape.faults) == 0
}

_failure := constructor.new("facts_unavailable", message, "facts", {"cause": cause}) if {
	response.status_code == 0
	message := "the facts service does not answer"
	cause := response.error.message
} else := constructor.new("facts_unavailable", message, "facts", {"status_code": 200, "parts": shape.faults}) if {
	response.status_code == 200
	message := "the facts service answered with something that is not facts"
} else := constructor.new("facts_rejected", message, "facts", {"status_code": response.status_code}) if {
	response.status_code in {401, 403}
	message := "the facts service does not accept OPA's token (SARK_FACTS_TOKEN)"
} else := constructor.new("input_invalid", message, "input", {"problem": problem, "errors": errors}) if {
	response.status_code in {400, 409, 413, 422}
	problem := response.body.code
	errors := object.get(response.body, "errors", [])
	message := _detail
} else := constructor.new("facts_unavailable", message, "facts", details) if {
	details := {"status_code": response.status_code, "problem": object.get(response, ["body", "code"], null)}
	message := sprintf("the facts service answered with status %d", [response.status_code])
} else := constructor.new("facts_unavailable", message, "facts", {"config": config.faults}) if {
	# http.send refused to make the request at all.
	message := "the facts service cannot be asked; see sark.config"
}

default _detail := "the facts service refused the input"

_detail := response.body.detail if is_string(response.body.detail)

_details(error) := error.details if {
	is_object(error.details)
} else := {}

# The budget's own reason names the account.
_said_better(error) if {
	error.code == "unknown_account"
	known.budget.status == "unknown_account"
}
