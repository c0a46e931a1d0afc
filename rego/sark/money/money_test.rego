# METADATA
# title: Tests of data.sark.money
# scope: package
package sark.money_test

import data.sark.money

test_what_there_is_is_rounded_down[text] if {
	some text, usd in {
		"$0.31": 0.31,
		"$0.3149": 0.31499,
		"$5.00": 5,
		"$0.00": 0.00001,
		"$1234.56": 1234.56,
		"$0.0001": 0.0001,
	}
	money.at_least(usd) == text
}

test_what_is_needed_is_rounded_up[text] if {
	some text, usd in {
		"$0.80": 0.8,
		"$0.3101": 0.310001,
		"$0.0001": 0.000000001,
		"$12.00": 12,
		"$0.31": 0.31,
	}
	money.at_most(usd) == text
}
