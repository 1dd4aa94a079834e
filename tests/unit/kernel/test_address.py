"""Wallet addresses and their checksum."""

import pytest
from bech32 import CHARSET, bech32_decode, bech32_encode
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel import address
from commerce.kernel.errors import ApiError

PAYLOADS = st.binary(min_size=20, max_size=20)


def refused(text: str, *, livemode: bool = False) -> bool:
    with pytest.raises(ApiError) as refusal:
        address.check(text, livemode=livemode, param="to")
    return (refusal.value.code, refusal.value.param) == ("invalid_recipient", "to")


@given(PAYLOADS, st.booleans())
def test_an_encoded_address_is_47_characters_and_accepted(payload: bytes, livemode: bool) -> None:
    text = address.encode(payload)
    assert len(text) == 47
    assert text.startswith("stateset1")
    assert address.check(text, livemode=livemode, param="to") == text


@given(PAYLOADS, st.integers(0, 46), st.sampled_from(CHARSET))
def test_one_wrong_character_is_always_caught(payload: bytes, index: int, other: str) -> None:
    text = address.encode(payload)
    wrong = text[:index] + other + text[index + 1 :]
    assert wrong == text or refused(wrong)


@given(PAYLOADS, st.integers(9, 45))
def test_two_swapped_neighbours_are_always_caught(payload: bytes, index: int) -> None:
    text = address.encode(payload)
    wrong = text[:index] + text[index + 1] + text[index] + text[index + 2 :]
    assert wrong == text or refused(wrong)


@given(PAYLOADS)
def test_upper_case_becomes_lower_and_mixed_case_is_refused(payload: bytes) -> None:
    text = address.encode(payload)
    assert address.check(text.upper(), livemode=True, param="to") == text
    assert refused("S" + text[1:])


def test_the_sample_is_an_address_in_test_mode_only() -> None:
    assert bech32_decode(address.SAMPLE) == (None, None)
    assert address.check(address.SAMPLE, livemode=False, param="to") == address.SAMPLE
    assert refused(address.SAMPLE, livemode=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stateset1",
        "cust_test_123",
        " " + address.encode(bytes(20)),
        address.encode(bytes(20)) + "\n",
        bech32_encode("stateset", [0] * 31),
        bech32_encode("stateset", [0] * 33),
        bech32_encode("cosmosxx", [0] * 32),
        "é" * 47,
        "q" * 100_000,
    ],
    ids=range(10),
)
def test_another_length_prefix_or_script_is_refused(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("count", [0, 19, 21])
def test_an_address_holds_20_bytes(count: int) -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        address.encode(bytes(count))


def test_a_new_address_follows_from_its_random_bytes_and_hides_them() -> None:
    random = bytes(range(20))
    made = address.new(random)
    assert made == address.new(random)
    assert made not in {address.new(bytes(20)), address.encode(random)}
    assert address.check(made, livemode=True, param="to") == made


def test_too_few_random_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        address.new(bytes(15))
    assert address.canonical_form(address.new(bytes(16))) is not None
