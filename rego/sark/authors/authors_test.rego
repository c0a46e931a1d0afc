# METADATA
# title: Tests of data.sark.authors
# scope: package
package sark.authors_test

import data.sark.authors

test_every_policy_is_asked if {
	denials := authors.deny with data.policies as {"a": {"deny": ["x"]}, "b": {"deny": ["y"]}, "c": {"warn": ["z"]}}
	{"policies.a", "policies.b"} == {reason.source | some reason in denials}
}

test_each_rule_has_its_own_place if {
	said := {"a": {"deny_early": ["early"], "deny": ["late"], "warn": ["careful"]}}
	["early"] == [reason.message | some reason in authors.deny_early] with data.policies as said
	["late"] == [reason.message | some reason in authors.deny] with data.policies as said
	["careful"] == [reason.message | some reason in authors.warn] with data.policies as said
	["policy_warning"] == [reason.code | some reason in authors.warn] with data.policies as said
}

test_no_policies_say_nothing if {
	authors.deny == set() with data.policies as {}
}
