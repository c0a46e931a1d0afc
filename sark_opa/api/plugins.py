"""The routes of plugins: list, upload, configure, enable, disable, reload, release, remove."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from sark_opa.api.access import allow
from sark_opa.api.answer import json_answer, services_of
from sark_opa.api.audit import refusals
from sark_opa.api.body import read
from sark_opa.api.openapi import documented
from sark_opa.errors import UnsupportedMediaTypeError
from sark_opa.evaluation.plugin_answers import ConfigBody, PluginAnswer, PluginsAnswer
from sark_opa.evaluation.plugin_set import ARCHIVE, PYTHON

router = APIRouter(prefix="/v1", tags=["plugins"])

MEDIA_TYPES: Final = {
    PYTHON: PYTHON,
    ARCHIVE: ARCHIVE,
    "application/zip": ARCHIVE,
    "application/octet-stream": ARCHIVE,
}
"""What an upload may call itself, and what it is stored as."""
_UPLOAD: Final[dict[str, Any]] = {
    "required": True,
    "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES},
}
_ANSWERED: Final = documented(answer=PluginAnswer)

Name = Annotated[str, Path(description="The plugin's own name.")]


@router.get("/plugins", dependencies=[Depends(allow("report"))], openapi_extra=documented(answer=PluginsAnswer))
async def list_plugins(request: Request) -> Response:
    """The plugins of this process: those that are asked in the order they are, then the disabled ones."""
    return json_answer(services_of(request).plugins.listed())


@router.get("/plugins/{name}", dependencies=[Depends(allow("report"))], openapi_extra=_ANSWERED)
async def get_plugin(request: Request, name: Name) -> Response:
    """One plugin."""
    return json_answer(services_of(request).plugins.get(name))


@router.put(
    "/plugins/{name}",
    dependencies=[Depends(refusals("plugin.upload")), Depends(allow("admin"))],
    openapi_extra={**documented(answer=PluginAnswer, created="The plugin is new."), "requestBody": _UPLOAD},
)
async def put_plugin(
    request: Request,
    name: Name,
    enabled: Annotated[bool | None, Query(description="Whether it is asked; as before unless given.")] = None,
) -> Response:
    """Upload a plugin, or a new version of one. It answers once the plugin is in place."""
    stated = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media_type = MEDIA_TYPES.get(stated)
    if media_type is None:
        raise UnsupportedMediaTypeError(
            f"Content-Type: {stated or 'nothing'!r}; send a single Python file as {PYTHON}, a packed one as {ARCHIVE}"
        )
    answer, created = await services_of(request).plugins.put(
        name, await request.body(), request.state.actor, media_type=media_type, enabled=enabled
    )
    return json_answer(answer, 201 if created else 200)


@router.delete(
    "/plugins/{name}",
    dependencies=[Depends(refusals("plugin.remove")), Depends(allow("admin"))],
    status_code=204,
)
async def remove_plugin(request: Request, name: Name) -> Response:
    """Remove an uploaded plugin everywhere."""
    await services_of(request).plugins.remove(name, request.state.actor)
    return Response(status_code=204)


@router.put(
    "/plugins/{name}/config",
    dependencies=[Depends(refusals("plugin.configure")), Depends(allow("admin"))],
    openapi_extra=documented(body=ConfigBody, answer=PluginAnswer),
)
async def configure_plugin(request: Request, name: Name) -> Response:
    """Set the operator's configuration of an uploaded plugin, and load it with that."""
    body = await read(request, ConfigBody)
    return json_answer(await services_of(request).plugins.configure(name, body.root, request.state.actor))


@router.post(
    "/plugins/{name}/enable",
    dependencies=[Depends(refusals("plugin.enable")), Depends(allow("admin"))],
    openapi_extra=_ANSWERED,
)
async def enable_plugin(request: Request, name: Name) -> Response:
    """Have a plugin asked from the next request on."""
    return json_answer(await services_of(request).plugins.switch(name, request.state.actor, enabled=True))


@router.post(
    "/plugins/{name}/disable",
    dependencies=[Depends(refusals("plugin.disable")), Depends(allow("admin"))],
    openapi_extra=_ANSWERED,
)
async def disable_plugin(request: Request, name: Name) -> Response:
    """Keep a plugin and ask it no more."""
    return json_answer(await services_of(request).plugins.switch(name, request.state.actor, enabled=False))


@router.post(
    "/plugins/{name}/reload",
    dependencies=[Depends(refusals("plugin.reload")), Depends(allow("admin"))],
    openapi_extra=_ANSWERED,
)
async def reload_plugin(request: Request, name: Name) -> Response:
    """Load a plugin again: from its files, or as it was uploaded."""
    return json_answer(await services_of(request).plugins.reload(name, request.state.actor))


@router.post(
    "/plugins/{name}/release",
    dependencies=[Depends(refusals("plugin.release")), Depends(allow("admin"))],
    openapi_extra=_ANSWERED,
)
async def release_plugin(request: Request, name: Name) -> Response:
    """Let a plugin out of quarantine, in every process."""
    return json_answer(await services_of(request).plugins.release(name, request.state.actor))
