"""Packed plugins, plugins the settings name, and signatures, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fixtures.archives import archive_of, files_of
from fixtures.plugins import source_of
from fixtures.stack import LiveStack, service_process, soon

from sark_opa.sandbox.packages import archive, package

PACKED = "application/vnd.sark-opa.plugin"
ALLOW = source_of("return PolicyDecision(allowed=True, reason='fine')")


class Service:
    """A service process on the stack's database, spoken to as administrator."""

    def __init__(self, url: str, stack: LiveStack) -> None:
        self._url = url
        self._token = stack.admin_token

    def call(self, method: str, path: str, data: Any = None, kind: str = PACKED) -> requests.Response:
        """One call below `/v1/plugins`."""
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self._token}"}
        return requests.request(method, f"{self._url}/v1/plugins{path}", data=data, headers=headers, timeout=30)

    def plugins(self) -> list[str]:
        """What it lists: the name of each, and `-` before those that are not asked."""
        listed = self.call("GET", "").json()["plugins"]
        return [("" if plugin["enabled"] else "-") + plugin["name"] for plugin in listed]


def cleared(service: Service) -> None:
    """Remove every upload."""
    for name in service.plugins():
        service.call("POST", f"/{name.strip('-')}/disable")
    for name in service.plugins():
        service.call("DELETE", f"/{name.strip('-')}")


@pytest.fixture
def service(stack: LiveStack) -> Iterator[Service]:
    """The stack's own process, without uploads afterwards."""
    service = Service(stack.service_url, stack)
    yield service
    cleared(service)
    assert service.plugins() == []


@pytest.mark.parametrize("kind", [PACKED, "application/octet-stream", "Application/ZIP; x=y"])
def test_a_packed_plugin_is_taken(service: Service, kind: str) -> None:
    """With all its manifest says."""
    answer = service.call("PUT", "/packed", archive_of(), kind)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["description"], answer.json()["origin"]) == ("Packed for a test.", "upload/packed.sarkplugin")


@pytest.mark.parametrize(
    ("more", "line", "field"),
    [("prioritty: 5\n", 5, "prioritty"), ("on_error: maybe\n", 5, "on_error"), ("needs: [everything]\n", 5, "needs.0")],
)
def test_a_manifest_that_is_wrong_is_told_by_line_and_field(service: Service, more: str, line: int, field: str) -> None:
    """Of the file inside the archive."""
    files = files_of()
    manifest, _ = package.parsed(files["plugin.yaml"].decode(), "plugin.yaml")
    files["plugin.yaml"] += more.encode()
    refused = service.call("PUT", "/packed", archive.packed(files, manifest))
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "plugin_invalid")
    assert problem["errors"][0]["path"] == "upload/packed.sarkplugin/plugin.yaml"
    assert (problem["details"]["line"], problem["details"]["field"]) == (line, field)
    assert service.plugins() == []


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x1f\x8b\x08", archive_of()[:-1], archive_of() + b"x"])
def test_what_is_no_archive_is_refused(service: Service, data: bytes) -> None:
    """Whatever it was cut from."""
    refused = service.call("PUT", "/packed", data)
    assert (refused.status_code, refused.json()["code"]) == (422, "plugin_invalid")
    assert "upload/packed.sarkplugin" in refused.json()["detail"]
    assert service.call("PUT", "/packed", b"x" * (2 << 20)).json()["code"] == "payload_too_large"


def test_plugins_that_require_each_other_are_kept_together(service: Service) -> None:
    """What is required is there first, in a version that will do, and stays as long as it is required."""
    early = service.call("PUT", "/late", archive_of("late", requires=["early>=2"]))
    assert (early.status_code, early.json()["details"]["requirement"]) == (422, "early>=2")
    service.call("PUT", "/early", archive_of("early", "1.0.0"))
    assert "version 1.0.0 is loaded" in service.call("PUT", "/late", archive_of("late", requires=["early>=2"])).text
    service.call("PUT", "/early", archive_of("early", "2.0.0"))
    assert service.call("PUT", "/late", archive_of("late", requires=["early>=2"])).status_code == 201
    for method, path in (("DELETE", "/early"), ("POST", "/early/disable")):
        refused = service.call(method, path)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert refused.json()["details"]["required_by"] == ["late"]
    circle = service.call("PUT", "/early", archive_of("early", "2.0.1", requires=["late"]))
    assert (circle.status_code, circle.json()["code"]) == (422, "plugin_invalid")
    assert "early requires late requires early" in circle.json()["detail"]
    assert service.plugins() == ["early", "late"]


def test_a_process_follows_what_could_only_change_together(service: Service, stack: LiveStack, tmp_path: Path) -> None:
    """Two plugins of which each new version needs the other's."""
    with service_process(stack, tmp_path / "service.log", SARK_PLUGIN_REFRESH_S="3600") as url:
        service.call("PUT", "/early", archive_of("early", "1.0.0"))
        service.call("PUT", "/late", archive_of("late", "1.0.0", ["early<2"]))
        service.call("POST", "/late/disable")
        service.call("PUT", "/early", archive_of("early", "2.0.0"))
        service.call("PUT", "/late?enabled=true", archive_of("late", "2.0.0", ["early>=2"]))
        assert Service(url, stack).plugins() == []
    with service_process(stack, tmp_path / "service.log") as url:
        assert Service(url, stack).plugins() == ["early", "late"]


def test_plugins_of_the_settings_are_not_uploaded_over(service: Service, stack: LiveStack, tmp_path: Path) -> None:
    """They are switched and reloaded like the others, everywhere; their files are the operator's."""
    file = tmp_path / "written.py"
    file.write_text(ALLOW)
    settings = {"SARK_PLUGINS": str(file), "SARK_PLUGIN_REFRESH_S": "0.2"}
    with (
        service_process(stack, tmp_path / "a.log", **settings) as first_url,
        service_process(stack, tmp_path / "b.log", **settings) as second_url,
    ):
        first, second = Service(first_url, stack), Service(second_url, stack)
        for method, path, data, kind in (
            ("PUT", "/written", ALLOW, "text/x-python"),
            ("DELETE", "/written", None, ""),
            ("PUT", "/written/config", "{}", ""),
        ):
            refused = first.call(method, path, data, kind)
            assert (refused.status_code, refused.json()["code"]) == (409, "conflict"), path
            assert "SARK_PLUGINS" in refused.json()["detail"]
        file.write_text(ALLOW.replace("1.0.0", "1.0.1"))
        assert first.call("POST", "/written/reload").json()["version"] == "1.0.1"
        soon(lambda: second.call("GET", "/written").json()["version"] == "1.0.1")
        file.write_text("no plugin")
        assert first.call("POST", "/written/reload").json()["code"] == "plugin_invalid"
        assert first.call("GET", "/written").json()["version"] == "1.0.1"
        file.write_text(ALLOW)
        first.call("POST", "/written/disable")
        soon(lambda: second.plugins() == ["-written"])
    with service_process(stack, tmp_path / "c.log", **settings) as url:
        assert Service(url, stack).plugins() == ["-written"]
        assert Service(url, stack).call("POST", "/written/enable").json()["enabled"] is True
    assert service.plugins() == []


def test_only_what_is_signed_is_taken_where_that_is_asked_for(
    service: Service, stack: LiveStack, tmp_path: Path
) -> None:
    """A single file never is; a changed archive says so; what is stored is looked at again."""
    trusted, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    file = tmp_path / "ours.pub.pem"
    file.write_bytes(trusted.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings = {"SARK_PLUGIN_KEYS": str(tmp_path), "SARK_PLUGIN_REFRESH_S": "0.2"}
    with service_process(stack, tmp_path / "service.log", **settings) as url:
        strict = Service(url, stack)
        for path, data, kind in (
            ("/written", ALLOW, "text/x-python"),
            ("/packed", archive_of(), PACKED),
            ("/packed", archive_of(key=stranger), PACKED),
        ):
            refused = strict.call("PUT", path, data, kind)
            assert (refused.status_code, refused.json()["code"]) == (422, "plugin_unsigned")
        assert strict.call("PUT", "/packed", archive_of(key=trusted)).status_code == 201
        service.call("PUT", "/written", ALLOW, "text/x-python")
        soon(lambda: "written" in strict.plugins())
        assert strict.call("GET", "/written").json()["state"] == "failing"
        assert requests.get(f"{url}/readyz", timeout=10).json()["parts"]["plugins"] == "plugin_unsigned"
        service.call("DELETE", "/written")
        soon(lambda: strict.plugins() == ["packed"])
    with service_process(stack, tmp_path / "open.log", **settings, SARK_PLUGIN_UNSIGNED="allow") as url:
        assert Service(url, stack).call("PUT", "/written", ALLOW, "text/x-python").status_code == 201
