"""Keys to sign plugins with: made, written where only their owner can read them, read again."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sark_opa.errors import ConfigurationError
from sark_opa.sandbox.packages.signature import KEY_BYTES_MAX, PUBLIC_SUFFIX

PRIVATE_SUFFIX: Final = ".pem"
_OWNER_ONLY: Final = 0o600


class PassphraseNeededError(ConfigurationError):
    """The key is encrypted; a passphrase is needed."""


def generate(place: Path, passphrase: str | None) -> tuple[Path, Path, Ed25519PrivateKey]:
    """Make a key pair and write it to `place.pem` and `place.pub.pem`, neither of which may exist.

    Returns:
        The private key's file, which only its owner can read, the public key's, and the key.

    Raises:
        ConfigurationError: a file exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    private, public = place.with_name(place.name + PRIVATE_SUFFIX), place.with_name(place.name + PUBLIC_SUFFIX)
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        encryption = BestAvailableEncryption(passphrase.encode())
    _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), _OWNER_ONLY)
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return private, public, key


def read_private(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """A private key of a PEM file that nobody but its owner may read.

    Raises:
        PassphraseNeededError: it is encrypted and no passphrase was given.
        ConfigurationError: it cannot be read, others may read it, the passphrase is wrong, or it is no such key.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(KEY_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if mode & ~_OWNER_ONLY:
        raise ConfigurationError(f"{path} may be read by others (mode {mode:04o}); run chmod 600 {path}")
    try:
        key = load_pem_private_key(content, passphrase.encode() if passphrase else None)
    except TypeError as error:  # a passphrase that is missing, or one that is not needed
        if passphrase:
            raise ConfigurationError(f"{path} is not encrypted; give no passphrase") from error
        raise PassphraseNeededError(f"{path} is encrypted; a passphrase is needed") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "is no private key in PEM, or the passphrase is wrong" if passphrase else "is no private key in PEM"
        raise ConfigurationError(f"{path} {why}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is a key of another kind; Ed25519 is needed")
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nobody else can read it at any moment.
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:  # it has no opener
            file.write(content)
    except FileExistsError as error:
        raise ConfigurationError(f"{path} exists; a key is never written over") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
