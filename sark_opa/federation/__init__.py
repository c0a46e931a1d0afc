"""Organisations with a sark-opa of their own: calls across them, and what these cost, counted once.

`Federation` is the room's face, `open_federation` the way to one without a service. How it works is told in
docs/explanation/federation.md.
"""

from sark_opa.federation.library import open_federation
from sark_opa.federation.service import Federation

__all__ = ["Federation", "open_federation"]
