"""The walls around a plugin, put up one after the other inside its process before the plugin is in it."""

from sark_opa.sandbox.guest.walls.basic import apply_all, standard

__all__ = ["apply_all", "standard"]
