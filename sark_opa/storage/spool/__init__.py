"""The spool: what the database cannot take now is kept in a file of this machine, and delivered later."""

from sark_opa.storage.spool.entry import Entry, Kind, Refusal, Spooled
from sark_opa.storage.spool.spool import Spool, open_spool

__all__ = ["Entry", "Kind", "Refusal", "Spool", "Spooled", "open_spool"]
