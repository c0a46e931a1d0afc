"""Signatures: whose is trusted, and what a forger may try."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fixtures.archives import archive_of, trust_in

from sark_opa.errors import ConfigurationError, PluginError, PluginSignatureError, PluginUnsignedError
from sark_opa.kit import keys
from sark_opa.sandbox.packages import archive, manifest
from sark_opa.sandbox.packages.signature import TRUST_ALL, Signature, read_keys

ALICE, MALLORY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SIGNED = archive_of(key=ALICE)
UNSIGNED = archive_of()


def test_who_signed_is_told() -> None:
    """By the name of the key's file."""
    assert archive.read_bytes(SIGNED, origin="upload", trust=trust_in(MALLORY, ALICE)).signer == "key1"


def test_what_is_not_signed_is_taken_only_where_that_is_allowed() -> None:
    """An unknown key is as good as none: whoever meant harm would have left the signature out."""
    for data in (UNSIGNED, archive_of(key=MALLORY)):
        with pytest.raises(PluginUnsignedError, match=r"upload: it is (not )?signed") as refused:
            archive.read_bytes(data, origin="upload", trust=trust_in(ALICE))
        assert refused.value.code == "plugin_unsigned"
        assert archive.read_bytes(data, origin="upload", trust=trust_in(ALICE, unsigned="allow")).signer is None


@pytest.mark.parametrize("step", range(11))
def test_no_byte_of_a_signed_archive_can_be_changed(step: int) -> None:
    """Whoever is trusted; the signature's own bytes included."""
    for place in range(step, len(SIGNED), 11):
        changed = bytearray(SIGNED)
        changed[place] ^= 0x20
        with pytest.raises(PluginError):
            archive.read_bytes(bytes(changed), origin="upload", trust=trust_in(ALICE))


@pytest.mark.parametrize("unsigned", ["allow", "refuse"])
def test_a_signature_moved_to_another_plugin_is_refused(unsigned: str) -> None:
    """An archive of sound form that claims a trusted key is held to it under every policy."""
    other = archive.opened(archive_of(version="6.6.6"), origin="upload")
    genuine = archive.opened(SIGNED, origin="upload").signature
    assert genuine is not None
    forged = archive.signed(other, genuine)
    with pytest.raises(PluginSignatureError, match="it was changed after it was signed") as refused:
        archive.read_bytes(forged, origin="upload", trust=trust_in(ALICE, unsigned=unsigned))  # type: ignore[arg-type]
    assert refused.value.code == "plugin_signature_invalid"
    assert archive.read_bytes(forged, origin="upload", trust=TRUST_ALL).signer is None


@pytest.mark.parametrize("text", ["", "!", "AAAA", base64.b64encode(bytes(64)).decode(), "é"])
def test_a_signature_that_is_none_is_refused(text: str) -> None:
    """Wrong length, no base64, all zeros."""
    found = archive.opened(SIGNED, origin="upload")
    assert found.signature is not None
    forged = archive.signed(found, msgspec.structs.replace(found.signature, signature=text))
    with pytest.raises(PluginSignatureError):
        archive.read_bytes(forged, origin="upload", trust=trust_in(ALICE))


def test_another_algorithm_is_refused() -> None:
    """There is one."""
    found = archive.opened(SIGNED, origin="upload")
    data = archive.signed(found, Signature("none", "ed25519:0", ""))  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="Invalid enum value 'none'"):
        archive.opened(data, origin="upload")


def test_what_is_no_archive_is_not_signed(tmp_path: Path) -> None:
    """Folders and single files do not get past a policy that wants signatures."""
    (tmp_path / "x.py").write_text("")
    with pytest.raises(PluginUnsignedError, match=r"x\.py: it is not signed"):
        manifest.read(tmp_path / "x.py", trust=trust_in(ALICE))
    assert manifest.read(tmp_path / "x.py").signer is None


def test_a_key_survives_its_file(tmp_path: Path) -> None:
    """With and without a passphrase; only the owner can read it, and it is never written over."""
    for name, passphrase in (("plain", None), ("locked", "a passphrase")):
        private, public, key = keys.generate(tmp_path / "keys" / name, passphrase)
        assert private.stat().st_mode & 0o777 == 0o600
        assert (private.name, public.name) == (f"{name}.pem", f"{name}.pub.pem")
        again = keys.read_private(private, passphrase)
        assert again.private_bytes_raw() == key.private_bytes_raw()
        with pytest.raises(ConfigurationError, match="exists; a key is never written over"):
            keys.generate(tmp_path / "keys" / name, None)
    trusted = read_keys([tmp_path / "keys"])
    assert sorted(key.name for key in trusted.values()) == ["locked", "plain"]


def test_a_key_others_may_read_is_refused(tmp_path: Path) -> None:
    """With what to do about it."""
    private, _, _ = keys.generate(tmp_path / "key", None)
    private.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"may be read by others \(mode 0640\); run chmod 600"):
        keys.read_private(private, None)


def test_a_passphrase_is_needed_or_not(tmp_path: Path) -> None:
    """Each way of getting it wrong has its message."""
    locked, _, _ = keys.generate(tmp_path / "locked", "right")
    plain, _, _ = keys.generate(tmp_path / "plain", None)
    with pytest.raises(keys.PassphraseNeededError):
        keys.read_private(locked, None)
    with pytest.raises(ConfigurationError, match="the passphrase is wrong"):
        keys.read_private(locked, "wrong")
    with pytest.raises(ConfigurationError, match="is not encrypted; give no passphrase"):
        keys.read_private(plain, "right")


def _pem(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    """Nothing there, no PEM, another kind, the wrong half."""
    other = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = Encoding.PEM, PrivateFormat.PKCS8
    private = _pem(tmp_path / "other.pem", other.private_bytes(pem, pkcs8, NoEncryption()))
    public = _pem(tmp_path / "o.pub.pem", other.public_key().public_bytes(pem, PublicFormat.SubjectPublicKeyInfo))
    nonsense = _pem(tmp_path / "nonsense.pem", b"nonsense")
    for path, message in ((private, "another kind"), (nonsense, "no private key in PEM"), (tmp_path / "-", "No such")):
        with pytest.raises(ConfigurationError, match=message):
            keys.read_private(path, None)
    (tmp_path / "empty").mkdir()
    for path, message in (
        (private, "is a private key; give the public one"),
        (public, "another kind"),
        (nonsense, "no public key in PEM"),
        (tmp_path / "-", "No such"),
        (tmp_path / "empty", r"no file that ends in \.pub\.pem"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            read_keys([path])
