# METADATA
# title: Plugins
# description: |
#   Verdicts of the plugins, for policies to read, and the reasons that follow from them. A plugin that failed denies,
#   unless its own manifest says that it may be skipped.
# scope: package
package sark.plugins

import data.sark.facts
import data.sark.reasons as constructor

# METADATA
# title: All verdicts, in the order they were given
verdicts := facts.known.verdicts

# METADATA
# title: Verdict of one plugin by its name
verdict(name) := found[0] if {
	found := [said | some said in verdicts; said.plugin == name]
}

# METADATA
# title: Reasons of the plugins
# scope: document
reasons contains constructor.new("plugin_denied", said.reason, "plugins", _details(said)) if {
	some said in verdicts
	not _permits(said)
	said.status == "ok"
}

reasons contains constructor.new(concat("_", ["plugin", said.status]), message, "plugins", _details(said)) if {
	some said in verdicts
	not _permits(said)
	said.status != "ok"
	message := sprintf("plugin %s: %s", [said.plugin, said.reason])
}

# METADATA
# title: Warnings of the plugins
# scope: document
warnings contains constructor.new("plugin_skipped", message, "plugins", _details(said)) if {
	some said in verdicts
	_permits(said)
	said.skipped
	message := sprintf("plugin %s was skipped: %s", [said.plugin, said.reason])
}

# By its own word, or by its manifest's although it failed. Skipping alone permits nothing: the service says both.
_permits(said) if {
	said.allowed
	said.status == "ok"
}

_permits(said) if {
	said.allowed
	said.skipped
}

_details(said) := object.filter(said, ["plugin", "version", "status", "metadata"])
