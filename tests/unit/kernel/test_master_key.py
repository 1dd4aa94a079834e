"""The master key: what it seals, fingerprints and never shows."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.master_key import MasterKey

SECRET = bytes(range(32))
KEY = MasterKey(SECRET)


@pytest.mark.parametrize("count", [0, 31, 33])
def test_a_secret_has_32_bytes(count: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKey(bytes(count))


@given(st.binary(min_size=32, max_size=32))
def test_hex_and_every_base64_read_the_same(secret: bytes) -> None:
    standard = base64.b64encode(secret).decode()
    urlsafe = base64.urlsafe_b64encode(secret).decode()
    forms = [secret.hex(), secret.hex().upper(), standard, urlsafe, urlsafe.rstrip("=")]
    for text in (*forms, f" {standard}\n"):
        assert MasterKey.parse(text).reveal() == secret.hex()


@pytest.mark.parametrize("text", ["", "g" * 64, "a" * 63, "*" * 43, "correct horse", "é" * 43])
def test_other_text_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="master key") as refusal:
        MasterKey.parse(text)
    assert not text or text not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize("stray", ["~", "*", "=a", " a"])
def test_base64_with_a_stray_character_is_refused(stray: str) -> None:
    standard = base64.b64encode(SECRET).decode()
    for text in (f"{standard.rstrip('=')}{stray}", f"{standard[:9]}{stray}{standard[9:]}"):
        with pytest.raises(ValueError, match="master key"):
            MasterKey.parse(text)


def test_what_is_sealed_is_aes_gcm_under_a_subkey_of_its_own() -> None:
    subkey = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"commerce/seal").derive(SECRET)
    sealed = MasterKey(SECRET).seal(b"payload", b"context")
    assert AESGCM(subkey).decrypt(sealed[:12], sealed[12:], b"context") == b"payload"


def test_generated_keys_differ_and_read_back() -> None:
    one, other = MasterKey.generate(), MasterKey.generate()
    assert one.reveal() != other.reveal()
    assert MasterKey.parse(one.reveal()).reveal() == one.reveal()


@given(st.binary(max_size=300), st.sampled_from(["card", "request"]))
def test_a_fingerprint_is_hmac_sha256_under_a_subkey_of_its_purpose(
    payload: bytes, purpose: str
) -> None:
    info = f"commerce/fingerprint/{purpose}".encode()
    subkey = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(SECRET)
    expected = hmac.new(subkey, payload, hashlib.sha256).digest()
    assert KEY.fingerprint(purpose, payload) == expected
    assert KEY.fingerprint(purpose, payload) == expected


def test_fingerprints_differ_by_purpose_and_by_key() -> None:
    payload = b"4242424242424242"
    other = MasterKey(bytes(32))
    made = {
        KEY.fingerprint("card", payload),
        KEY.fingerprint("request", payload),
        other.fingerprint("card", payload),
    }
    assert len(made) == 3


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_for_the_same_context(payload: bytes, context: bytes) -> None:
    assert KEY.open(KEY.seal(payload, context), context) == payload


@given(st.binary(min_size=8, max_size=60), st.data())
def test_a_changed_byte_never_opens(payload: bytes, data: st.DataObject) -> None:
    sealed = KEY.seal(payload, b"webhook")
    assert payload not in sealed
    index = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="not sealed by this key"):
        KEY.open(bytes(changed), b"webhook")


@pytest.mark.parametrize(
    ("key", "context"), [(KEY, b"other"), (KEY, b""), (MasterKey(bytes(32)), b"webhook")]
)
def test_another_context_or_key_does_not_open(key: MasterKey, context: bytes) -> None:
    sealed = KEY.seal(b"whsec", b"webhook")
    with pytest.raises(ValueError, match="not sealed by this key"):
        key.open(sealed, context)


@pytest.mark.parametrize("count", [0, 5, 12, 27])
def test_what_is_too_short_to_be_sealed_does_not_open(count: int) -> None:
    with pytest.raises(ValueError, match="not sealed by this key"):
        KEY.open(bytes(count), b"webhook")


def test_the_same_payload_seals_differently_each_time() -> None:
    assert KEY.seal(b"whsec", b"") != KEY.seal(b"whsec", b"")


def test_its_repr_never_shows_the_secret() -> None:
    assert repr(KEY) == str(KEY) == f"{KEY}" == "MasterKey(…)"
