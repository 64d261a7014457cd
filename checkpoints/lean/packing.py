"""Values as bytes: LangGraph's serializer without arbitrary classes, compressed above a size, encrypted with a key."""

import base64
import binascii
import hashlib
import os
import zlib
from collections.abc import Collection, Sequence
from typing import Any

from langgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from domain.errors import ConfigurationError

KEY_BYTES = 32
NONCE_BYTES = 12
COMPRESSED = ".zlib"
FASTEST = 1


class Compressed(SerializerProtocol):
    """A serializer whose long texts are compressed; short ones, and what another wrote, are read as they are.

    Args:
        above_bytes: What is longer is compressed.
    """

    def __init__(self, serde: SerializerProtocol, above_bytes: int) -> None:
        self.serde = serde
        self.above_bytes = above_bytes

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return a value's type and bytes."""
        kind, text = self.serde.dumps_typed(obj)
        if len(text) <= self.above_bytes:
            return kind, text
        return kind + COMPRESSED, zlib.compress(text, FASTEST)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value again."""
        kind, text = data
        if not kind.endswith(COMPRESSED):
            return self.serde.loads_typed(data)
        return self.serde.loads_typed((kind.removesuffix(COMPRESSED), zlib.decompress(text)))


class Aes(CipherProtocol):
    """AES-256 in Galois/counter mode (NIST SP 800-38D): the first key encrypts, each may decrypt.

    Args:
        keys: By name: the name stands beside what the key encrypted.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # not needed without a key

        self._ciphers = {f"aesgcm-{hashlib.sha256(key).hexdigest()[:8]}": AESGCM(key) for key in keys}
        self._name = next(iter(self._ciphers))

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """Return the key's name, and a fresh nonce before the text."""
        nonce = os.urandom(NONCE_BYTES)
        return self._name, nonce + self._ciphers[self._name].encrypt(nonce, plaintext, None)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """Return the text; raises `ConfigurationError` when its key is not among ours."""
        cipher = self._ciphers.get(ciphername)
        if cipher is None:
            raise ConfigurationError("CHECKPOINT_KEY lacks the key that a checkpoint was encrypted with.")
        text: bytes = cipher.decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], None)
        return text


def keys_of(text: str) -> list[bytes]:
    """Return the keys of `CHECKPOINT_KEY`: 32 bytes each, in base64, separated by commas.

    Raises `ConfigurationError`.
    """
    try:
        keys = [base64.b64decode(each, validate=True) for each in text.replace(" ", "").split(",") if each]
    except binascii.Error:
        keys = [b""]
    if any(len(key) != KEY_BYTES for key in keys):
        raise ConfigurationError("CHECKPOINT_KEY is no key; make one with `openssl rand -base64 32`.")
    return keys


def serializer(*, compress_above_bytes: int | None = None, keys: Sequence[bytes] = ()) -> SerializerProtocol:
    """Return what packs checkpoints: of LangGraph's types its safe ones only, and never a pickle.

    Args:
        keys: Empty leaves everything readable; what was stored before there was a key stays readable.
    """
    serde: SerializerProtocol = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)
    if compress_above_bytes is not None:
        serde = Compressed(serde, compress_above_bytes)
    return EncryptedSerializer(Aes(keys), serde) if keys else serde


def allowing(serde: SerializerProtocol, extra: Collection[tuple[str, ...]]) -> SerializerProtocol:
    """Return the same serializer with more types that may be read."""
    if isinstance(serde, EncryptedSerializer):
        return EncryptedSerializer(serde.cipher, allowing(serde.serde, extra))
    if isinstance(serde, Compressed):
        return Compressed(allowing(serde.serde, extra), serde.above_bytes)
    return serde.with_msgpack_allowlist(extra) if isinstance(serde, JsonPlusSerializer) else serde
