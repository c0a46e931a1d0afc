"""Third-party policy plugins, each in a process of its own."""

from sark_opa.sandbox.contract import Limits, PluginInfo, Question, Verdict
from sark_opa.sandbox.host import PluginHost

__all__ = ["Limits", "PluginHost", "PluginInfo", "Question", "Verdict"]
