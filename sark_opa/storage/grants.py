"""What roles besides the owner may do: `sql/grants.sql` with the names of one's own roles."""

from __future__ import annotations

import re
from typing import Final

from psycopg import sql

from sark_opa import bundled

SERVICE: Final = "sark_service"
READER: Final = "sark_reader"


def grants(*, service: str = SERVICE, reader: str = READER) -> str:
    """The statements, for the role that owns the schema.

    Args:
        service: the role `sark-opa serve` runs as.
        reader: the role of reports and `sark-opa verify`.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    text = (bundled.folder("sql") / "grants.sql").read_text(encoding="utf-8").replace("\r\n", "\n")
    names = {SERVICE: service, READER: reader}
    quoted = {name: sql.Identifier(given).as_string(None) if given != name else name for name, given in names.items()}
    return re.sub("|".join(quoted), lambda match: quoted[match[0]], text)
