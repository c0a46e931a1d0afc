"""sark-opa lets Open Policy Agent decide with money and plugin verdicts in hand.

The public parts of the library, each imported from the module that owns it:

* `sark_opa.client`: what a gateway written in Python calls (decide, settle, release).
* `sark_opa.plugin`: what a plugin author imports.
* `sark_opa.cost`: estimates, price book, token counts.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("sark-opa")
