"""Ed25519 signatures under plugins, and whose are trusted."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from sark_opa.errors import ConfigurationError, PluginSignatureError, PluginUnsignedError

PUBLIC_SUFFIX: Final = ".pub.pem"
KEY_BYTES_MAX: Final = 16 << 10

_CONTEXT: Final = b"sark-opa plugin archive, format 1\n"
"""Before what is signed, so that a signature made here is good for nothing else."""

Unsigned = Literal["allow", "refuse"]


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `SIGNATURE.json`: who signed `MANIFEST.json`, which holds the digest of every other file."""

    algorithm: Literal["ed25519"]
    key_id: str
    signature: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that is trusted.

    Attributes:
        name: of its file, without the ending.
        key_id: as `key_id_of` makes it.
        key: to verify with.
    """

    name: str
    key_id: str
    key: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose plugins are taken.

    Attributes:
        keys: key id to key.
        unsigned: what becomes of a plugin that is not signed, or by a key not among these.
    """

    keys: Mapping[str, PublicKey]
    unsigned: Unsigned

    def signer_of(self, content: bytes, signature: Signature | None, origin: str) -> str | None:
        """The name of the key a content is signed with, None where that is not known and not asked for.

        Args:
            content: what is signed.
            signature: None where there is none.
            origin: where the plugin is from, for the message.

        Raises:
            PluginUnsignedError: it is not signed with a key of these, and has to be.
            PluginSignatureError: the signature names one of these keys and is not that key's.
        """
        if signature is None:
            if self.unsigned == "refuse":
                raise PluginUnsignedError(f"{origin}: it is not signed, and only signed plugins are taken", path=origin)
            return None
        trusted = self.keys.get(signature.key_id)
        if trusted is None:
            if self.unsigned == "refuse":
                raise PluginUnsignedError(
                    f"{origin}: it is signed with {signature.key_id}, which is none of the trusted keys", path=origin
                )
            return None
        try:
            trusted.key.verify(base64.b64decode(signature.signature, validate=True), _CONTEXT + content)
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise PluginSignatureError(
                f"{origin}: the signature is not that of {trusted.name} ({trusted.key_id}) under this content; "
                "it was changed after it was signed",
                path=origin,
            ) from error
        return trusted.name


TRUST_ALL: Final = Trust({}, "allow")
"""Takes every plugin, signed or not, and knows nobody."""


def key_id_of(key: Ed25519PublicKey) -> str:
    """`ed25519:` and half of the SHA-256 of the key, in hex."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"ed25519:{hashlib.sha256(raw).hexdigest()[:32]}"


def sign(content: bytes, key: Ed25519PrivateKey) -> Signature:
    """The signature under a content."""
    made = base64.b64encode(key.sign(_CONTEXT + content)).decode()
    return Signature("ed25519", key_id_of(key.public_key()), made)


def read_keys(paths: Iterable[Path]) -> dict[str, PublicKey]:
    """Public keys: from PEM files, and from the files of folders that end in `.pub.pem`.

    Raises:
        ConfigurationError: a path cannot be read, or holds no such key.
    """
    keys = {}
    for path in paths:
        files = sorted(path.glob(f"*{PUBLIC_SUFFIX}")) if path.is_dir() else [path]
        if not files:
            raise ConfigurationError(f"{path} has no file that ends in {PUBLIC_SUFFIX}")
        for file in files:
            key = _public_key(file)
            name = file.name.removesuffix(PUBLIC_SUFFIX)
            keys[key_id_of(key)] = PublicKey(name, key_id_of(key), key)
    return keys


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        with path.open("rb") as file:
            content = file.read(KEY_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if b"PRIVATE KEY" in content:
        raise ConfigurationError(f"{path} is a private key; give the public one, which ends in {PUBLIC_SUFFIX}")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{path} is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path} is a key of another kind; Ed25519 is needed")
    return key
