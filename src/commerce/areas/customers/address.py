"""Postal addresses, as customers have them and orders are sent to."""

from __future__ import annotations

from typing import Annotated

import msgspec

from commerce.kernel.country import POSTAL_CODE_LENGTH_MAX, check_country, check_postal_code

Line = Annotated[str, msgspec.Meta(max_length=200)]
Code = Annotated[str, msgspec.Meta(max_length=POSTAL_CODE_LENGTH_MAX)]
Country = Annotated[
    str,
    msgspec.Meta(min_length=2, max_length=2, extra={"must": "a two-letter country code, as 'US'"}),
]
Phone = Annotated[str, msgspec.Meta(max_length=32)]
Recipient = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A postal address."""

    line1: Line | None = None
    """Street and number, or a post-office box."""
    line2: Line | None = None
    """Flat, floor or building."""
    city: Line | None = None
    """City, town or village."""
    state: Line | None = None
    """State, county, province or region."""
    postal_code: Code | None = None
    """The postal code, which must be one of the country's where the country has any."""
    country: Country
    """The country, by its ISO 3166-1 alpha-2 code: `US`."""


class Shipping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where goods go to, and to whom."""

    name: Recipient
    """Who takes them."""
    phone: Phone | None = None
    """Where a carrier may call."""
    address: Address
    """Where they go."""


def checked(address: Address, *, param: str) -> Address:
    """An address as it is kept: codes in upper case, nothing where nothing was written.

    Raises `parameter_invalid`, naming the country or the postal code within `param`.
    """
    country = check_country(address.country, param=f"{param}.country")
    postal_code = None
    if address.postal_code and not address.postal_code.isspace():
        where = f"{param}.postal_code"
        postal_code = check_postal_code(address.postal_code, country, param=where)
    return Address(
        line1=address.line1 or None,
        line2=address.line2 or None,
        city=address.city or None,
        state=address.state or None,
        postal_code=postal_code,
        country=country,
    )


def checked_shipping(shipping: Shipping, *, param: str) -> Shipping:
    """Where goods go to as it is kept. Raises what `checked` raises."""
    address = checked(shipping.address, param=f"{param}.address")
    return Shipping(name=shipping.name, phone=shipping.phone or None, address=address)
