"""Plugins as files: what a manifest says, and how a plugin is read."""
