"""The file that says which member this is, and what of it is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.federation import World

from sark_opa.errors import ConfigurationError
from sark_opa.federation.membership import read
from sark_opa.federation.service import joined
from sark_opa.federation.store import FederationStore
from sark_opa.federation.voice import alias_of
from sark_opa.kit.keys import generate


@pytest.fixture
def stated(tmp_path: Path) -> dict[str, Any]:
    """A file's content, with the keys it names beside it."""
    generate(tmp_path / "own", None)
    generate(tmp_path / "theirs", None)
    peers = {"globex": {"url": "https://sark.globex.example/", "keys": ["theirs.pub.pem"]}}
    return {"member": "acme", "key": "own.pem", "peers": peers}


def written(folder: Path, content: Any) -> Path:
    """The file."""
    place = folder / "federation.yaml"
    place.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return place


def test_it_is_read_with_paths_from_its_folder(tmp_path: Path, stated: dict[str, Any]) -> None:
    """And the org is called like the member unless it says otherwise."""
    found = read(written(tmp_path, stated))
    assert (found.member, found.org, found.peer("globex").url) == ("acme", "acme", "https://sark.globex.example")
    assert len(found.peer("globex").keys) == 1
    assert read(written(tmp_path, stated | {"org": "Acme-Inc"})).org == "Acme-Inc"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"member": "Acme Inc"}, "member"),
        ({"peers": {}}, "peers"),
        ({"peers": {"acme": {"url": "https://x.example", "keys": ["theirs.pub.pem"]}}}, "peer of itself"),
        ({"peers": {"globex": {"url": "ftp://x.example", "keys": ["theirs.pub.pem"]}}}, "no HTTP address"),
        ({"peers": {"globex": {"url": "https://x.example", "keys": []}}}, "keys"),
        ({"peers": {"globex": {"url": "https://x.example", "keys": ["own.pem"]}}}, "private key"),
        ({"peers": {"globex": {"url": "https://x.example", "keys": ["nothing.pem"]}}}, "cannot be read"),
        ({"key": "theirs.pub.pem"}, "may be read by others"),
        ({"key": "nothing.pem"}, "cannot be read"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, stated: dict[str, Any], change: dict[str, Any], message: str) -> None:
    """Each fault with its field or file."""
    with pytest.raises(ConfigurationError, match=message):
        read(written(tmp_path, stated | change))


@pytest.mark.parametrize("text", ["", "[", "member", "- a"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, no YAML, something else."""
    with pytest.raises(ConfigurationError, match="SARK_FEDERATION_FILE"):
        read(written(tmp_path, text))


def test_an_alias_is_of_one_principal_towards_one_peer() -> None:
    """Another key, peer, org or principal is another alias; the same ones are the same."""
    key = b"k" * 32
    aliases = {
        alias_of(key, "globex", "acme", "ada"),
        alias_of(b"l" * 32, "globex", "acme", "ada"),
        alias_of(key, "initech", "acme", "ada"),
        alias_of(key, "globex", "umbrella", "ada"),
        alias_of(key, "globex", "acme", "bob"),
    }
    assert len(aliases) == 5
    assert alias_of(key, "globex", "acme", "ada") in aliases


@pytest.mark.anyio
async def test_an_org_stays_the_member_it_is(world: World) -> None:
    """Its aliases are kept; and it cannot become another member by a slip in the file."""
    member = world["acme"]
    assert await joined(member.store, member.membership) == member.alias_key
    with pytest.raises(ConfigurationError, match="acme is acme in this database already"):
        await joined(FederationStore(member.pool, "acme"), world["globex"].membership.__class__(
            "other", "acme", member.membership.key, member.membership.peers
        ))  # fmt: skip


@pytest.mark.anyio
async def test_what_is_due_is_done_by_one_process(world: World) -> None:
    """Several look at the same time: the host is asked once for each transfer."""
    for number in range(6):
        await world.hold("acme", "globex", f"r{number}")
    world.clock.move(seconds=70)
    world.sent.clear()
    await asyncio.gather(*(world["acme"].federation.tick() for _ in range(4)))
    asked = [path for _, _, path, _ in world.sent]
    assert asked == ["ask"] * 6
