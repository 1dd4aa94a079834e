"""Tax numbers of customers, each checked by the rules of its country."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, Protocol, cast, get_args

import msgspec
import stdnum
import stdnum.eu.vat

from commerce.areas.customers.address import Country
from commerce.kernel.country import check_country
from commerce.kernel.errors import ApiError

# fmt: off
TaxIdType = Literal[
    "ad_nrt", "al_tin", "ar_cuit", "au_abn", "az_tin", "br_cnpj", "br_cpf", "by_tin", "ca_bn",
    "ch_uid", "ch_vat", "cl_tin", "cn_tin", "co_nit", "cr_tin", "do_rcn", "ec_ruc", "eg_tin",
    "es_cif", "eu_vat", "gb_vat", "hr_oin", "hu_tin", "id_npwp", "il_vat", "in_gst", "is_vat",
    "jp_cn", "ke_pin", "kr_brn", "mx_rfc", "no_vat", "nz_gst", "pe_ruc", "ro_tin", "rs_pib",
    "ru_inn", "sg_uen", "si_tin", "sv_nit", "th_vat", "tr_tin", "tw_vat", "us_ein", "uy_ruc",
    "ve_rif", "vn_tin",
]
# fmt: on
EU_VAT: TaxIdType = "eu_vat"
TAX_IDS_MAX = 5


class TaxIdDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tax number to keep: its type or its country, or both, and the number."""

    type: TaxIdType | None = None
    """What kind of number it is, as `eu_vat` or `us_ein`. Required unless the country is given."""
    country: Country | None = None
    """Whose number it is, by its ISO 3166-1 alpha-2 code. Required unless the type is given."""
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """The number, whose form and check digits must be right."""


class TaxId(msgspec.Struct, frozen=True, kw_only=True):
    """A tax number whose form and check digits are right. Nobody was asked whether it is in use."""

    type: TaxIdType
    """What kind of number it is."""
    country: str
    """Whose number it is, by its ISO 3166-1 alpha-2 code."""
    value: str
    """The number, without spaces and signs that mean nothing."""


TaxIds = Annotated[list[TaxIdDetails], msgspec.Meta(max_length=TAX_IDS_MAX)]


class _Rules(Protocol):
    """A module of `stdnum`."""

    def is_valid(self, number: str) -> bool:
        """Whether form and check digits are right."""

    def compact(self, number: str) -> str:
        """The number without what means nothing."""


class _Kind(NamedTuple):
    country: str
    rules: _Rules


def _kind(type_: str, number: str) -> _Kind:
    """The rules of a type of one country, by the name that `stdnum` has for the number."""
    country = type_.partition("_")[0]
    module = stdnum.get_cc_module(country, number)
    assert module is not None, f"stdnum has no {country}.{number}"
    return _Kind(country.upper(), cast("_Rules", module))


# fmt: off
_NUMBERS: Mapping[str, str] = {
    "ad_nrt": "nrt", "al_tin": "nipt", "ar_cuit": "cuit", "au_abn": "abn", "az_tin": "voen",
    "br_cnpj": "cnpj", "br_cpf": "cpf", "by_tin": "unp", "ca_bn": "bn", "ch_uid": "uid",
    "ch_vat": "vat", "cl_tin": "rut", "cn_tin": "uscc", "co_nit": "nit", "cr_tin": "cpj",
    "do_rcn": "rnc", "ec_ruc": "ruc", "eg_tin": "tn", "es_cif": "cif", "gb_vat": "vat",
    "hr_oin": "oib", "hu_tin": "anum", "id_npwp": "npwp", "il_vat": "hp", "in_gst": "gstin",
    "is_vat": "vsk", "jp_cn": "cn", "ke_pin": "pin", "kr_brn": "brn", "mx_rfc": "rfc",
    "no_vat": "mva", "nz_gst": "ird", "pe_ruc": "ruc", "ro_tin": "cf", "rs_pib": "pib",
    "ru_inn": "inn", "sg_uen": "uen", "si_tin": "ddv", "sv_nit": "nit", "th_vat": "moa",
    "tr_tin": "vkn", "tw_vat": "ubn", "us_ein": "ein", "uy_ruc": "rut", "ve_rif": "rif",
    "vn_tin": "mst",
}
# fmt: on
_KINDS: dict[TaxIdType, _Kind] = {
    type_: _kind(type_, _NUMBERS[type_]) for type_ in get_args(TaxIdType) if type_ != EU_VAT
}
# VAT numbers of the Union begin with the country's code, but for Greece's EL; XI is Northern
# Ireland, which is of the Union for goods.
_UNION = {code.upper() for code in stdnum.eu.vat.MEMBER_STATES} - {"XI"}
_PREFIXED = {**{code: code for code in _UNION}, "EL": "GR", "XI": "GB"}


def checked(details: TaxIdDetails, *, param: str) -> TaxId:
    """A tax number as it is kept.

    Where the type is not said it is the country's VAT number, or another number of the country
    that this can be. Raises `parameter_missing`, `parameter_invalid`, naming the member within
    `param`.
    """
    if details.type is None and details.country is None:
        message = f"'{param}.type' or '{param}.country' is required."
        raise ApiError("parameter_missing", message, param=f"{param}.type")
    country = details.country
    if country is not None:
        country = check_country(country, param=f"{param}.country")
    types = _types(details.type, country, param=param)
    for type_ in types:
        found = _read(type_, country, details.value)
        if found is not None:
            return found
    message = f"'{param}.value' is not a valid number of the type {' or '.join(types)}."
    raise ApiError("parameter_invalid", message, param=f"{param}.value")


def _types(type_: TaxIdType | None, country: str | None, *, param: str) -> list[TaxIdType]:
    """The types that a number may be of. Raises `parameter_invalid`."""
    if type_ is not None:
        its_own = _UNION | {"GB"} if type_ == EU_VAT else {_KINDS[type_].country}
        if country is not None and country not in its_own:
            message = f"'{param}.country' is not a country of the type {type_}."
            raise ApiError("parameter_invalid", message, param=f"{param}.country")
        return [type_]
    found: list[TaxIdType] = [EU_VAT] if country in _UNION else []
    found += [each for each, kind in _KINDS.items() if kind.country == country]
    if not found:
        message = f"Tax numbers of '{param}.country' are not known here."
        raise ApiError("parameter_invalid", message, param=f"{param}.country")
    return found


def _read(type_: TaxIdType, country: str | None, value: str) -> TaxId | None:
    """A number of a type, or None where it is not a valid one."""
    # stdnum reads on over a line's end, and takes digits of other scripts for digits.
    if not (value.isascii() and value.isprintable()):
        return None
    if type_ == EU_VAT:
        return _read_of_union(country, value)
    kind = _KINDS[type_]
    if not kind.rules.is_valid(value):
        return None
    return TaxId(type=type_, country=kind.country, value=kind.rules.compact(value))


def _read_of_union(country: str | None, value: str) -> TaxId | None:
    """A VAT number of the Union; where the country is said, the prefix need not be."""
    number = "".join(filter(str.isalnum, value)).upper()
    if country is not None and _PREFIXED.get(number[:2]) != country:
        number = f"{'EL' if country == 'GR' else country}{number}"
    whose = _PREFIXED.get(number[:2])
    if whose is None or not stdnum.eu.vat.is_valid(number):
        return None
    return TaxId(type=EU_VAT, country=whose, value=stdnum.eu.vat.compact(number))
