"""Who we are in the federation and who the others are: the file of `SARK_FEDERATION_FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sark_opa.errors import ConfigurationError, FederationError
from sark_opa.kit.keys import read_private
from sark_opa.sandbox.packages.signature import read_keys

MemberName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
"""A member's id, the same everywhere: small letters, digits, dots and hyphens."""
_OrgName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_MODEL: Final = ConfigDict(extra="forbid", frozen=True)


class _PeerPart(BaseModel):
    model_config = _MODEL
    url: str
    keys: Annotated[tuple[Path, ...], Field(min_length=1)]


class _File(BaseModel):
    model_config = _MODEL
    member: MemberName
    org: _OrgName | None = None
    key: Path
    peers: Annotated[dict[MemberName, _PeerPart], Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 3.0
    clock_tolerance_s: Annotated[float, Field(ge=0, le=3_600)] = 300.0
    resolve_after_s: _Seconds = 15.0
    publish_interval_s: _Seconds = 3_600.0
    pull_interval_s: _Seconds = 300.0


@dataclass(frozen=True, slots=True)
class Peer:
    """Another member.

    Attributes:
        name: its member id.
        url: of its service, without a slash at the end.
        keys: those it may sign with, by key id; two while it changes from one to the next.
    """

    name: str
    url: str
    keys: Mapping[str, Ed25519PublicKey]


@dataclass(frozen=True, slots=True)
class Membership:
    """Who we are, and who the others are.

    Attributes:
        member: our member id.
        org: our org in the ledger.
        key: what we sign with.
        peers: the other members by id.
        timeout_s: for one answer of a peer.
        clock_tolerance_s: how far clocks may be apart.
        resolve_after_s: after how long a call without a known outcome is called off.
        publish_interval_s: between two looks for days to state.
        pull_interval_s: between two looks for statements of peers.
    """

    member: str
    org: str
    key: Ed25519PrivateKey
    peers: Mapping[str, Peer]
    timeout_s: float = 3.0
    clock_tolerance_s: float = 300.0
    resolve_after_s: float = 15.0
    publish_interval_s: float = 3_600.0
    pull_interval_s: float = 300.0

    def peer(self, name: str) -> Peer:
        """The member called `name`.

        Raises:
            FederationError: there is none, or it is we ourselves.
        """
        found = self.peers.get(name)
        if found is None:
            raise FederationError(f"{name!r} is no peer of {self.member}", peer=name)
        return found


def read(path: Path) -> Membership:
    """What the file says; paths in it count from its folder.

    Raises:
        ConfigurationError: it cannot be read, says something else, or a key cannot be read.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        stated = _File.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"SARK_FEDERATION_FILE: {path}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)
        )
        raise ConfigurationError(f"SARK_FEDERATION_FILE: {path}: {faults}") from error
    if stated.member in stated.peers:
        raise ConfigurationError(f"SARK_FEDERATION_FILE: {path}: {stated.member} is a peer of itself")
    folder = path.parent
    key = read_private(folder / stated.key, None)
    return Membership(
        member=stated.member,
        org=stated.org or stated.member,
        key=key,
        peers={name: _peer(path, name, part) for name, part in stated.peers.items()},
        timeout_s=stated.timeout_s,
        clock_tolerance_s=stated.clock_tolerance_s,
        resolve_after_s=stated.resolve_after_s,
        publish_interval_s=stated.publish_interval_s,
        pull_interval_s=stated.pull_interval_s,
    )


def _peer(path: Path, name: str, part: _PeerPart) -> Peer:
    parts = urlsplit(part.url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigurationError(f"SARK_FEDERATION_FILE: {path}: peers.{name}.url: {part.url!r} is no HTTP address")
    found = read_keys(path.parent / key for key in part.keys)
    return Peer(name, part.url.rstrip("/"), {key_id: trusted.key for key_id, trusted in found.items()})
