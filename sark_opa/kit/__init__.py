"""The plugin author's tools: scaffold, check, test, measure, pack, sign, install."""
