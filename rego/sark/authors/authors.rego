# METADATA
# title: Authors' policies
# description: |
#   What every package `policies.<name>` says in its rules deny_early, deny and warn. A new file is found here without
#   being named anywhere. deny_early cannot read facts: the compiler refuses it as a recursion, since no facts are
#   asked for before it has spoken.
# scope: package
package sark.authors

import data.sark.reasons as constructor

# METADATA
# title: Denials that need no facts
deny_early := _said({name: said | said := data.policies[name].deny_early}, "policy_denied")

# METADATA
# title: Denials with the facts in hand
deny := _said({name: said | said := data.policies[name].deny}, "policy_denied")

# METADATA
# title: Warnings
warn := _said({name: said | said := data.policies[name].warn}, "policy_warning")

_said(by_policy, default_code) := {reason |
	some name, said in by_policy
	some reason in constructor.of_policy(name, said, default_code)
}
