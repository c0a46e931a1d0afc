# METADATA
# title: Configuration
# description: |
#   Thresholds and switches are data, in data.json beside this file; schemas/config.json describes them. Where the
#   service listens and the token may also come from OPA's environment, which wins: SARK_SERVICE_SOCKET,
#   SARK_SERVICE_URL, SARK_FACTS_TOKEN.
# scope: package
package sark.config

# METADATA
# title: Money is held by the facts call itself
# description: Also where the switch is missing or misspelt, because this is the strictest way.
# scope: document
default holds_in_decision := true

holds_in_decision := false if data.sark.config.hold_mode in {"by_gateway", "none"}

# METADATA
# title: The gateway is told to hold the money before it invokes
# scope: document
default holds_by_gateway := false

holds_by_gateway if data.sark.config.hold_mode == "by_gateway"

# METADATA
# title: A model without a price of its own is let through with a warning
# scope: document
default allows_default_price := false

allows_default_price if data.sark.config.default_price == "warn"

# METADATA
# title: Used part of a budget from which a decision warns, in percent
# description: At most 100; 0, so always, where it is missing or no number.
# scope: document
default warns_from_percent := 0

warns_from_percent := min([data.sark.config.warn_percent, 100]) if is_number(data.sark.config.warn_percent)

# METADATA
# title: Where a path of the service is
url(path) := _unix_url(opa.runtime().env.SARK_SERVICE_SOCKET, path) if {
	opa.runtime().env.SARK_SERVICE_SOCKET != ""
} else := concat("", [trim_right(opa.runtime().env.SARK_SERVICE_URL, "/"), path]) if {
	opa.runtime().env.SARK_SERVICE_URL != ""
} else := _unix_url(data.sark.config.service.socket, path) if {
	is_string(data.sark.config.service.socket)
} else := concat("", [trim_right(data.sark.config.service.url, "/"), path])

# METADATA
# title: Headers of a request to the service
# description: |
#   With a token if one is set; a unix socket is guarded by its file mode instead. A function, like whatever touches
#   the environment here, because anyone who may query OPA can read the value of a rule.
headers(content_type) := {"Content-Type": content_type, "Authorization": authorization} if {
	opa.runtime().env.SARK_FACTS_TOKEN != ""
	authorization := concat(" ", ["Bearer", opa.runtime().env.SARK_FACTS_TOKEN])
} else := {"Content-Type": content_type}

# METADATA
# title: What is wrong with the data
# description: |
#   Nothing here is needed to stay safe: a wrong timeout or deadline fails the call, a wrong switch counts as the
#   stricter one. It is told when no facts can be had, and by `opa check` through the tests.
# scope: document
faults contains sprintf("%s has to be %s", [name, expected]) if {
	some name, expected in {
		"hold_mode": "in_decision, by_gateway or none",
		"default_price": "warn or deny",
		"warn_percent": "a number of percent",
		"timeout": "a text such as 500ms or 2s, since http.send reads a number as nanoseconds",
		"deadline_ms": "a whole number of milliseconds, at least 1",
	}
	not name in _right
}

# METADATA
# scope: document
# schemas:
#   - data.sark.config: schema.config
_right contains "hold_mode" if data.sark.config.hold_mode in {"in_decision", "by_gateway", "none"}

_right contains "default_price" if data.sark.config.default_price in {"warn", "deny"}

_right contains "warn_percent" if is_number(data.sark.config.warn_percent)

_right contains "timeout" if regex.match(`^[1-9][0-9]*(ms|s)$`, data.sark.config.timeout)

_right contains "deadline_ms" if {
	data.sark.config.deadline_ms >= 1
	data.sark.config.deadline_ms == round(data.sark.config.deadline_ms)
}

_unix_url(socket, path) := concat("", ["unix://localhost", path, "?socket=", urlquery.encode(socket)])
