# METADATA
# title: Tests of data.sark.plugins
# scope: package
package sark.plugins_test

import data.sark.plugins

test_verdict_by_name if {
	plugins.verdict("business_hours").allowed with data.sark.facts.known as data.cases.base.facts
}

test_verdict_of_a_plugin_that_was_not_asked if {
	not plugins.verdict("mine") with data.sark.facts.known as data.cases.base.facts
	not plugins.verdict("mine") with data.sark.facts.known as {}
}

test_what_a_verdict_permits[note] if {
	some note, [allowed, status, skipped, denials, skips] in {
		"its own yes": [true, "ok", false, 0, 0],
		"its own no": [false, "ok", false, 1, 0],
		"its own no, marked as skipped": [false, "ok", true, 1, 0],
		"skipped after a failure": [true, "timeout", true, 0, 1],
		"skipped, and yet no": [false, "timeout", true, 1, 0],
		"a yes of one that failed": [true, "crashed", false, 1, 0],
	}
	said := {
		"plugin": "mine", "version": "1", "reason": "r", "metadata": {},
		"allowed": allowed, "status": status, "skipped": skipped,
	}
	facts := {"verdicts": [said]}
	count(plugins.reasons) == denials with data.sark.facts.known as facts
	count(plugins.warnings) == skips with data.sark.facts.known as facts
}
