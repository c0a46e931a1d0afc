# METADATA
# title: "Example: models and prices by team"
# description: |
#   Some teams may use some models only, and no call of theirs may cost more than a ceiling. The lists are data, in
#   data.json beside this file; a team that is not listed is not limited here. Copy the folder to start your own.
# scope: package
# schemas:
#   - input: schema.input
package policies.example_model_access

import data.sark.cost

# METADATA
# title: Models a team may not use
# description: Needs no facts, so it is decided before any are asked for and any money is held.
# scope: document
deny_early contains {"code": "model_not_allowed", "message": message, "details": {"models": allowed}} if {
	allowed := data.policies.example_model_access.models_by_team[input.principal.team]
	not _model_is_in(allowed)
	message := sprintf("team %s may only use %s", [input.principal.team, concat(", ", allowed)])
}

# METADATA
# title: Calls that may cost more than the team's ceiling
# scope: document
deny contains {"code": "call_too_dear", "message": message, "details": details} if {
	ceiling_usd := data.policies.example_model_access.ceiling_usd_by_team[input.principal.team]
	cost.upper_bound_usd > ceiling_usd
	details := {"ceiling_usd": ceiling_usd, "upper_bound_usd": cost.upper_bound_usd}
	message := sprintf("a call of team %s may cost $%v at most, this one may cost $%v", [
		input.principal.team,
		ceiling_usd,
		cost.upper_bound_usd,
	])
}

# A rule of its own, so that a request without a model is denied too: `not input.arguments.model in models` would be
# undefined without a model, and never deny.
_model_is_in(models) if input.arguments.model in models
