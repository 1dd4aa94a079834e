"""The master key: seals what must be read again, and keys every fingerprint."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BYTES: Final = 32
_NONCE_BYTES: Final = 12


class MasterKey:
    """A 32-byte secret that is never used itself: every use has a subkey of its own (HKDF)."""

    __slots__ = ("_cipher", "_hmacs", "_secret")

    def __init__(self, secret: bytes) -> None:
        """Take exactly 32 bytes. Raises ValueError otherwise."""
        if len(secret) != BYTES:
            raise ValueError(f"a master key has {BYTES} bytes, not {len(secret)}")
        self._secret = secret
        self._cipher = AESGCM(self._subkey("seal"))
        self._hmacs: dict[str, hmac.HMAC] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 64 hex characters or base64, standard or URL-safe.

        Raises ValueError, whose message never holds the text.
        """
        return cls(_secret(text.strip()))

    @classmethod
    def generate(cls) -> Self:
        """Make a random one."""
        return cls(secrets.token_bytes(BYTES))

    def reveal(self) -> str:
        """Give the secret as 64 hex characters: for the file that keeps it, nowhere else."""
        return self._secret.hex()

    def fingerprint(self, purpose: str, payload: bytes) -> bytes:
        """Give the HMAC-SHA256 of a payload, 32 bytes, under the purpose's own subkey.

        A purpose is a constant of the code, never input: each stays in memory.
        """
        keyed = self._hmacs.get(purpose)
        if keyed is None:
            subkey = self._subkey(f"fingerprint/{purpose}")
            keyed = self._hmacs[purpose] = hmac.new(subkey, digestmod=hashlib.sha256)
        running = keyed.copy()
        running.update(payload)
        return running.digest()

    def seal(self, payload: bytes, context: bytes) -> bytes:
        """Encrypt (AES-256-GCM, random nonce in front), bound to where it belongs.

        The context is the row and column it is kept in: moved elsewhere, it does not open.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, payload, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt what `seal` gave for the same context. Raises ValueError for anything else."""
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, context)
        except (InvalidTag, ValueError):
            raise ValueError("not sealed by this key for this context") from None

    def __repr__(self) -> str:
        """Never show the secret."""
        return "MasterKey(…)"

    def _subkey(self, purpose: str) -> bytes:
        info = f"commerce/{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=BYTES, salt=None, info=info).derive(self._secret)


def _secret(text: str) -> bytes:
    try:
        if len(text) == 2 * BYTES:
            return bytes.fromhex(text)
        standard = text.replace("-", "+").replace("_", "/").rstrip("=")
        padding = "=" * (-len(standard) % 4)
        return base64.b64decode(standard + padding, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("a master key is 64 hex characters or base64 of 32 bytes") from None
