# METADATA
# title: Reasons
# description: |
#   The one place where a reason or a warning is built. Both look alike: a stable code for programs, a message for
#   people, the part that says so, and details to act on.
# scope: package
package sark.reasons

# METADATA
# title: A reason
new(code, message, source, details) := {
	"code": code,
	"message": message,
	"source": source,
	"details": details,
}

# METADATA
# title: What a policy said, as reasons
# description: |
#   `said` is the value of a policy's deny, deny_early or warn. A set or array of texts or of objects
#   {code, message, details} is meant; any other value that is not false, null or empty counts as one reason,
#   because a rule that fires must never be lost to its form.
of_policy(name, said, default_code) := {reason |
	some entry in _entries(said)
	reason := new(
		_text(entry, "code", default_code),
		_message(name, entry),
		sprintf("policies.%s", [name]),
		_details(entry),
	)
}

# METADATA
# title: Reasons in the order of their use
# description: What the caller can mend comes first; equal ranks are ordered by their content.
in_order(reasons) := [] if {
	count(reasons) == 0
} else := [reason |
	some [_, reason] in sort([[object.get(_rank, reason.source, count(_rank)), reason] | some reason in reasons])
]

_rank := {"input": 0, "config": 1, "facts": 2, "estimate": 3, "budget": 4, "plugins": 5}

_entries(said) := said if is_set(said)

_entries(said) := said if is_array(said)

_entries(said) := [said] if {
	not is_set(said)
	not is_array(said)
	not said in {false, null, {}}
}

_message(name, entry) := entry if {
	is_string(entry)
	entry != ""
} else := entry.message if {
	is_string(entry.message)
	entry.message != ""
} else := sprintf("policy %s gives no message", [name])

_text(entry, key, fallback) := entry[key] if {
	is_string(entry[key])
	entry[key] != ""
} else := fallback

_details(entry) := entry.details if {
	is_object(entry.details)
} else := object.remove(entry, {"code", "message"}) if {
	is_object(entry)
} else := {"value": entry} if {
	not is_string(entry)
} else := {}
