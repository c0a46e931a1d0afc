# METADATA
# title: Money for people
# description: Amounts in messages. Programs read the exact figures in a reason's details.
# scope: package
package sark.money

# METADATA
# title: What there is, rounded down
# description: So that a message never promises more than there is.
at_least(usd) := _text(floor(_scaled(usd)))

# METADATA
# title: What is needed, rounded up
at_most(usd) := _text(ceil(_scaled(usd)))

# Ten-thousandths of a dollar. Rounding to nano-dollars first keeps 0.31 from becoming 0.3101: it has no exact
# binary form.
_scaled(usd) := round(usd * 1000000000) / 100000

_text(scaled) := regex.replace(sprintf("$%d.%04d", [floor(scaled / 10000), scaled % 10000]), `(\.\d\d\d*?)0+$`, "$1")
