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
