"""Signatures of models: Ed25519 over the whole ONNX file, kept in the file's own last bytes.

A signed file is the model followed by one more ``metadata_props`` entry of constant length, so it
stays valid ONNX for every other reader, and cutting the tail off gives the bytes that were signed.
Nothing can follow the tail, and nothing before it can change, without the check failing.
Source: Ed25519 is RFC 8032; the tail is field 14 of ``ModelProto`` in the protobuf wire format.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nervure.core.error import EnvironmentMissing, ModelError, SettingError

__all__ = [
    "TAIL_BYTES",
    "SigningKey",
    "check",
    "key_id",
    "seal",
    "sign",
    "trusted",
    "verify",
    "write_once",
]

_NAME = b"nervure.signature"
_KEY_BYTES = 32
_ID_LETTERS = 16
_SIGNATURE_LETTERS = 88
_VALUE_BYTES = _ID_LETTERS + 1 + _SIGNATURE_LETTERS
_ENTRY = b"\x0a" + bytes([len(_NAME)]) + _NAME + b"\x12" + bytes([_VALUE_BYTES])
_HEAD = b"\x72" + bytes([len(_ENTRY) + _VALUE_BYTES]) + _ENTRY  # 126: the length fits one byte
TAIL_BYTES = len(_HEAD) + _VALUE_BYTES

_PRIVATE = "signing.key"
_PUBLIC = "signing.pub"
_FOREIGN = "trusted"


class SigningKey:
    """A private key that signs models; it never shows itself in a repr or a log."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"SigningKey({key_id(self.public)})"

    @classmethod
    def load_or_create(cls, folder: Path) -> SigningKey:
        """Read ``signing.key`` in the folder, or make one that only its owner may read."""
        path = folder / _PRIVATE
        try:
            if not path.exists():
                write_once(path, os.urandom(_KEY_BYTES).hex() + "\n")
            key = cls(_read_private(path))
            public = folder / _PUBLIC
            if not public.exists():
                public.write_text(key.public.hex() + "\n", "ascii")
        except OSError as cause:
            raise EnvironmentMissing(f"cannot write keys to {folder}: {cause.strerror}") from cause
        return key

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the data, 64 bytes."""
        return self._key.sign(data)

    def derived(self, purpose: str) -> bytes:
        """Return a secret of 32 bytes for one purpose, from which neither the key nor another one follows."""
        seed = self._key.private_bytes_raw()
        return hmac.new(seed, b"nervure secret 1\x00" + purpose.encode(), sha256).digest()


def key_id(public: bytes) -> str:
    """Return a short name for a public key: the start of its SHA-256.

    >>> key_id(bytes(32))
    '66687aadf862bd77'
    """
    return sha256(public).hexdigest()[:_ID_LETTERS]


def trusted(folder: Path) -> tuple[bytes, ...]:
    """Return the public keys that models may be signed with: our own, then those in ``trusted/``."""
    files = [folder / _PUBLIC, *sorted((folder / _FOREIGN).glob("*.pub"))]
    return tuple(_read_hex(file) for file in files if file.exists())


def sign(model: bytes, key: SigningKey) -> bytes:
    """Return the model with its signature as its tail; an old signature is replaced."""
    body = model[:-TAIL_BYTES] if _tail(model) else model
    return body + _HEAD + seal(body, key).encode()


def seal(data: bytes, key: SigningKey) -> str:
    """Return who signed the data, and the signature: ``KEYID:BASE64``."""
    return f"{key_id(key.public)}:{b64encode(key.sign(data)).decode()}"


def verify(model: bytes, keys: Iterable[bytes]) -> None:
    """Return if one of the public keys signed exactly this model, else raise ``ModelError``."""
    tail = _tail(model)
    if tail is None:
        raise ModelError("the model is not signed", hint="package it with: nervure export")
    check(model[:-TAIL_BYTES], tail.decode("ascii", "replace"), keys)


def check(data: bytes, sealed: str, keys: Iterable[bytes], *, what: str = "model") -> None:
    """Return if one of the public keys signed exactly these data, else raise ``ModelError``."""
    signer, _, text = sealed.partition(":")
    known = {key_id(public): public for public in keys}
    if signer not in known:
        names = ", ".join(sorted(known)) or "none"
        raise ModelError(
            f"the {what} is signed with key {signer}, which is not trusted",
            hint=f"trusted are: {names}; put the signer's .pub into the folder '{_FOREIGN}' beside {_PUBLIC}",
        )
    try:
        signature = b64decode(text, validate=True)
        Ed25519PublicKey.from_public_bytes(known[signer]).verify(signature, data)
    except (InvalidSignature, ValueError) as cause:
        raise ModelError(
            f"the {what} was changed after it was signed",
            hint="fetch the file again from where it was trained",
        ) from cause


def _tail(model: bytes) -> bytes | None:
    """Return the value of the signature entry, if the file ends with one."""
    return model[-_VALUE_BYTES:] if model[-TAIL_BYTES:-_VALUE_BYTES] == _HEAD else None


def write_once(path: Path, text: str) -> None:
    """Write a private file whole or not at all; if another process was first, its file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _read_private(path: Path) -> bytes:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise SettingError(f"others can read the private key {path}", hint=f"chmod 600 {path}")
    return _read_hex(path)


def _read_hex(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as cause:
        raise SettingError(f"{path} is not a key: {cause}", hint="it holds 64 hexadecimal digits") from cause
    if len(key) != _KEY_BYTES:
        raise SettingError(f"{path} is not a key: it has {len(key)} bytes, not {_KEY_BYTES}")
    return key
