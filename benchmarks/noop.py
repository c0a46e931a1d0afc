"""The baseline's other end: the service's framework and server, and a handler that does nothing."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)


@app.post("/v1/facts")
async def facts(request: Request) -> Response:
    """Read the body and answer a constant."""
    await request.body()
    return Response(b'{"ok":true}', media_type="application/json")


@app.get("/readyz")
async def readyz() -> dict[str, bool]:
    """For whoever waits."""
    return {"ok": True}


if __name__ == "__main__":
    uvicorn.run(app, uds=sys.argv[1], access_log=False, log_level="warning")
