"""Third-party policy plugins, each in a process of its own."""

from sark_opa.sandbox.contract import Limits, PluginInfo, Question, Verdict
from sark_opa.sandbox.host import PluginHost
from sark_opa.sandbox.manager import PolicyPluginManager

__all__ = ["Limits", "PluginHost", "PluginInfo", "PolicyPluginManager", "Question", "Verdict"]
