# METADATA
# title: Cost
# description: |
#   What the call will cost, for policies to read, and the reasons that follow from the estimate alone. Every figure
#   is undefined while it is unknown, never 0, and the decision denies then by itself.
# scope: package
package sark.cost

import data.sark.config
import data.sark.facts
import data.sark.reasons as constructor

# METADATA
# title: How the estimate came about
# description: priced, free, default (a marked default price), unpriced or error.
status := facts.known.estimate.status

# METADATA
# title: Expected list cost in USD
expected_usd := facts.known.estimate.expected_usd if facts.known.estimate.expected_usd != null

# METADATA
# title: Most the call can cost in USD
upper_bound_usd := facts.known.estimate.upper_bound_usd if facts.known.estimate.upper_bound_usd != null

# METADATA
# title: How far the upper bound can be trusted
# description: exact, closed (the request states its limits), window (the model's own limit) or none.
bound := facts.known.estimate.bound

# METADATA
# title: The provider as it was recognised
provider := facts.known.estimate.provider if facts.known.estimate.provider != null

# METADATA
# title: The model as it was recognised
model := facts.known.estimate.model if facts.known.estimate.model != null

# METADATA
# title: Token counts behind the estimate
tokens := facts.known.estimate.tokens if facts.known.estimate.tokens != null

# METADATA
# title: Reasons of the estimate
# scope: document
reasons contains constructor.new("estimate_failed", "the cost of this call cannot be worked out", "estimate", {}) if {
	status == "error"
	not _explained
}

reasons contains constructor.new("unpriced", message, "estimate", {"model": _model_or_null}) if {
	status == "unpriced"
	not _explained
	message := sprintf("no price is known for %s", [_model_name])
}

reasons contains constructor.new("cost_unbounded", message, "estimate", {}) if {
	status in {"priced", "free", "default"}
	bound == "none"
	message := "no upper bound of the cost is known; state a limit such as max_tokens"
}

reasons contains _default_price if {
	status == "default"
	not config.allows_default_price
}

# METADATA
# title: Warnings of the estimate
# scope: document
warnings contains _default_price if {
	status == "default"
	config.allows_default_price
}

_default_price := constructor.new("price_default", message, "estimate", {"model": _model_or_null}) if {
	message := sprintf("no price is known for %s; a default price was used", [_model_name])
}

_explained if {
	some error in facts.known.errors
	error.source == "estimate"
}

# A reason must not depend on a field that may be missing: it would be lost, and the call allowed.
default _model_or_null := null

_model_or_null := model

default _model_name := "this call"

_model_name := sprintf("model %s", [model])
