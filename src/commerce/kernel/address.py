"""Wallet addresses: bech32 (BIP 173) of 20 bytes with the prefix `stateset`."""

import hashlib
from functools import lru_cache
from typing import Final

from bech32 import bech32_decode, bech32_encode, convertbits

from commerce.kernel.errors import ApiError

PREFIX: Final = "stateset"
BYTES: Final = 20
LENGTH: Final = 47
# The documentation's sample, whose checksum is wrong; test mode takes it all the same.
SAMPLE: Final = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
_RANDOM_BYTES_MIN: Final = 16


def encode(payload: bytes) -> str:
    """Give the address of 20 bytes. Raises ValueError for any other number of them."""
    groups = convertbits(payload, 8, 5)
    if groups is None or len(payload) != BYTES:
        raise ValueError(f"an address holds {BYTES} bytes, not {len(payload)}")
    return bech32_encode(PREFIX, groups)


def new(random: bytes) -> str:
    """Make an address from at least 16 random bytes, which it does not reveal.

    Raises ValueError for fewer.
    """
    if len(random) < _RANDOM_BYTES_MIN:
        raise ValueError(f"an address needs {_RANDOM_BYTES_MIN} random bytes")
    return encode(hashlib.sha256(random).digest()[:BYTES])


def check(text: str, *, livemode: bool, param: str) -> str:
    """Give the address in its canonical lower case. Raises invalid_recipient, naming `param`.

    Live mode refuses the documentation's sample.
    """
    canonical = canonical_form(text)
    if canonical is None or (livemode and canonical == SAMPLE):
        message = f"'{param}' is not a valid address: a checksum or character is wrong."
        raise ApiError("invalid_recipient", message, param=param)
    return canonical


def canonical_form(text: str) -> str | None:
    """The lower case of what has the form and the checksum of an address; None of all else."""
    # The length goes first, so that the cache below holds no long text.
    return _canonical(text) if len(text) == LENGTH else None


# Decoding costs about 30 microseconds, as much as a third of a whole transfer.
@lru_cache(65_536)
def _canonical(text: str) -> str | None:
    if text == SAMPLE:
        return text
    prefix, groups = bech32_decode(text)
    if prefix != PREFIX or groups is None:
        return None
    # 47 characters leave 32 groups of 5 bits: 20 bytes exactly, without padding to check.
    return text.lower()
