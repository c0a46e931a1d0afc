"""Writes sql/schema.sql anew from what the migrations make: python -m sark_opa.local.schema."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sark_opa import bundled
from sark_opa.local.postgres import embedded
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool
from sark_opa.storage.schema import FILE, dump


async def main() -> None:
    """Migrate a database of its own, and write down what came of it."""
    with tempfile.TemporaryDirectory(prefix="sark-schema-", ignore_cleanup_errors=True) as folder:
        async with embedded(Path(folder) / "data") as url, open_pool(url) as pool:
            await migrate(pool, tier="plain")
            text = await dump(pool)
    file = bundled.folder("sql") / FILE
    file.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {file}\n")


if __name__ == "__main__":
    asyncio.run(main())
