"""Countries and postal codes: which there are, and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.country import (
    COUNTRIES,
    POSTAL_CODE_EXAMPLES,
    POSTAL_CODE_LENGTH_MAX,
    check_country,
    check_postal_code,
)
from commerce.kernel.errors import ApiError


def refusal(country: str, code: str) -> tuple[str, str | None, str]:
    with pytest.raises(ApiError) as caught:
        check_postal_code(code, country, param="address.postal_code")
    return caught.value.code, caught.value.param, caught.value.message


def taken(country: str, text: str) -> str | None:
    """A postal code as it is kept; none where it is refused."""
    try:
        return check_postal_code(text, country, param="p")
    except ApiError:
        return None


def test_the_codes_are_those_of_iso_3166_and_kosovos() -> None:
    assert len(COUNTRIES) == 250
    assert {"US", "GB", "DE", "CU", "IR", "KP", "SY", "AX", "BQ", "SS", "XK"} <= COUNTRIES
    assert not COUNTRIES & {"UK", "EU", "AN", "CS", "SU", "ZZ", "AC", "TA", "XX", "EL"}


def test_a_country_is_known_in_either_case_and_nothing_else_is() -> None:
    assert check_country("de", param="country") == "DE"
    for text in ("ZZ", "XX", "UK", "D", "DEU", "", "D3", "\uff24\uff25", "\u017fs", "all"):
        with pytest.raises(ApiError) as caught:
            check_country(text, param="address.country")
        assert (caught.value.code, caught.value.param) == ("parameter_invalid", "address.country")


def test_who_writes_uk_is_told_of_gb() -> None:
    with pytest.raises(ApiError, match="The United Kingdom is 'GB'"):
        check_country("uk", param="country")


@pytest.mark.parametrize("country", sorted(POSTAL_CODE_EXAMPLES))
def test_every_countrys_examples_are_postal_codes_of_it_however_they_are_spaced(
    country: str,
) -> None:
    for code in POSTAL_CODE_EXAMPLES[country]:
        assert len(code) <= POSTAL_CODE_LENGTH_MAX
        assert check_postal_code(code, country, param="p") == code
        assert check_postal_code(f" {code.lower()}\t", country, param="p") == code
        assert check_postal_code(code.replace(" ", "  "), country, param="p") == code


@pytest.mark.parametrize(
    ("country", "code"),
    [
        *(("US", "9410"), ("US", "941033"), ("US", "94103-12"), ("US", "9410A"), ("US", "٩٤١٠٣")),
        *(("GB", "94103"), ("GB", "QQ1 1AA"), ("DE", "1234"), ("CA", "94103"), ("CA", "D1A 1A1")),
        *(("NL", "0123 AB"), ("PL", "00950"), ("JP", "15-40023"), ("IE", "D02"), ("US", "")),
    ],
)
def test_what_is_no_postal_code_of_a_country_is_refused_with_one_that_is(
    country: str, code: str
) -> None:
    kind, param, message = refusal(country, code)
    assert (kind, param) == ("parameter_invalid", "address.postal_code")
    assert POSTAL_CODE_EXAMPLES[country][0] in message


def test_where_there_are_no_postal_codes_anything_stands() -> None:
    assert "HK" not in POSTAL_CODE_EXAMPLES
    assert check_postal_code(" 999077 ", "HK", param="p") == "999077"
    assert check_postal_code("none", "AE", param="p") == "NONE"


def test_the_code_that_no_carrier_serves_in_test_mode_is_one_of_the_united_states() -> None:
    assert check_postal_code("00000", "US", param="p") == "00000"


@given(st.sampled_from(sorted(COUNTRIES)), st.text(max_size=POSTAL_CODE_LENGTH_MAX))
def test_a_postal_code_that_is_taken_is_taken_again_as_it_was_kept(country: str, text: str) -> None:
    code = taken(country, text)
    assert code is not None or country in POSTAL_CODE_EXAMPLES
    if code is not None:
        assert len(code) <= POSTAL_CODE_LENGTH_MAX
        assert taken(country, code) == code
