"""Tax numbers: each checked by the rules of its country, and kept in one form."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.areas.customers.tax_id import TaxId, TaxIdDetails, TaxIdType, checked
from commerce.kernel.errors import ApiError

# One number of each type, as it is written and as it is kept, and one that is none.
# fmt: off
NUMBERS: dict[TaxIdType, tuple[str, str, str]] = {
    "ad_nrt": ("U-132950-X", "U132950X", "A123B"),
    "al_tin": ("AL J 91402501 L", "J91402501L", "(AL) J 91402501"),
    "ar_cuit": ("20-05536168-2", "20055361682", "20267565392"),
    "au_abn": ("83 914 571 673", "83914571673", "99 999 999 999"),
    "az_tin": ("140 155 5071", "1401555071", "140 155 5081"),
    "br_cnpj": ("16.727.230/0001-97", "16727230000197", "16.727.230.0001-98"),
    "br_cpf": ("390.533.447-05", "39053344705", "231.002.999-00"),
    "by_tin": ("200988541", "200988541", "200988542"),
    "ca_bn": ("12302 6635", "123026635", "123456783"),
    "ch_uid": ("CHE-100.155.212", "CHE100155212", "CHE-100.155.213"),
    "ch_vat": ("CHE-107.787.577 IVA", "CHE107787577IVA", "CHE-107.787.578 IVA"),
    "cl_tin": ("76086428-5", "760864285", "12531909-3"),
    "cn_tin": ("91110000600037341L", "91110000600037341L", "A1110000600037341L"),
    "co_nit": ("213.123.432-1", "2131234321", "2131234325"),
    "cr_tin": ("3-101-999999", "3101999999", "3-534-123559"),
    "do_rcn": ("1-01-85004-3", "101850043", "1018A0043"),
    "ec_ruc": ("1792060346-001", "1792060346001", "1763154690001"),
    "eg_tin": ("100-531-385", "100531385", "12345"),
    "es_cif": ("J99216582", "J99216582", "J99216583"),
    "eu_vat": ("DE 136.695.976", "DE136695976", "DE136695978"),
    "gb_vat": ("GB 980 7806 84", "980780684", "802311781"),
    "hr_oin": ("HR 33392005961", "33392005961", "33392005962"),
    "hu_tin": ("HU-12892312", "12892312", "HU-12892313"),
    "id_npwp": ("01.312.166.0-091.000", "013121660091000", "123456789"),
    "il_vat": ("516179157", "516179157", "516179150"),
    "in_gst": ("27AAPFU0939F1ZV", "27AAPFU0939F1ZV", "27AAPFU0939F1Z"),
    "is_vat": ("IS 00621", "00621", "IS 0062199"),
    "jp_cn": ("5-8356-7825-6246", "5835678256246", "2-8356-7825-6246"),
    "ke_pin": ("P051365947M", "P051365947M", "12345"),
    "kr_brn": ("116-82-00276", "1168200276", "123456789"),
    "mx_rfc": ("GODE 561231 GR8", "GODE561231GR8", "GODE 561331 GR8"),
    "no_vat": ("NO 995 525 828 MVA", "995525828MVA", "NO 995 525 829 MVA"),
    "nz_gst": ("4909185-0", "49091850", "136410133"),
    "pe_ruc": ("20512333797", "20512333797", "20512333798"),
    "ro_tin": ("RO 185 472 90", "RO18547290", "RO 185 472 91"),
    "rs_pib": ("101134702", "101134702", "101134703"),
    "ru_inn": ("123456789047", "123456789047", "123456789037"),
    "sg_uen": ("00192200M", "00192200M", "123456"),
    "si_tin": ("SI 5022 3054", "50223054", "SI 50223055"),
    "sv_nit": ("0614-050707-104-8", "06140507071048", "0614-050707-104-0"),
    "th_vat": ("0994000617721", "0994000617721", "0-99-4-000-61772-3"),
    "tr_tin": ("4540536920", "4540536920", "4540536921"),
    "tw_vat": ("00501503", "00501503", "00501502"),
    "us_ein": ("91-1144442", "911144442", "07-1144442"),
    "uy_ruc": ("21-100342-001-7", "211003420017", "210303670014"),
    "ve_rif": ("V-11470283-4", "V114702834", "V-11470283-3"),
    "vn_tin": ("0100233488", "0100233488", "12345"),
}
UNION = {
    "AT": "AT U13585627", "BE": "BE 428759497", "BG": "175074752", "CY": "CY-10259033P",
    "CZ": "25123891", "DE": "DE136695976", "DK": "DK 13585628", "EE": "100594102",
    "ES": "B64717838", "FI": "FI 20774740", "FR": "23334175221", "GR": "EL 094259216",
    "HR": "HR 33392005961", "HU": "HU-12892312", "IE": "IE 6433435F", "IT": "IT 00743110157",
    "LT": "119511515", "LU": "LU 150 274 42", "LV": "LV 4000 3521 600", "MT": "MT 1167-9112",
    "NL": "004495445B01", "PL": "PL 8567346215", "PT": "PT 501 964 843", "RO": "RO 185 472 90",
    "SE": "SE 123456789701", "SI": "SI 5022 3054", "SK": "SK 202 274 96 19",
}
# fmt: on
TYPES: tuple[TaxIdType, ...] = get_args(TaxIdType)


def read(**given: str) -> TaxId:
    details = TaxIdDetails(**given)  # type: ignore[arg-type] # of any text
    return checked(details, param="tax_ids[0]")


def refusal(**given: str) -> tuple[str, str | None, str]:
    with pytest.raises(ApiError) as caught:
        read(**given)
    return caught.value.code, caught.value.param, caught.value.message


def taken(type_: TaxIdType, value: str) -> TaxId | None:
    """A number as it is kept; none where it is refused."""
    try:
        return read(type=type_, value=value)
    except ApiError:
        return None


def test_every_type_there_is_is_tried_here() -> None:
    assert NUMBERS.keys() == set(TYPES)


@pytest.mark.parametrize("type_", TYPES)
def test_a_number_of_each_type_is_kept_in_one_form_and_a_wrong_one_is_refused(
    type_: TaxIdType,
) -> None:
    written, kept, wrong = NUMBERS[type_]
    country = "DE" if type_ == "eu_vat" else type_[:2].upper()
    assert read(type=type_, value=written) == TaxId(type=type_, country=country, value=kept)
    assert read(type=type_, country=country, value=kept).value == kept
    code, param, message = refusal(type=type_, value=wrong)
    assert (code, param) == ("parameter_invalid", "tax_ids[0].value")
    assert type_ in message


@pytest.mark.parametrize("country", sorted(UNION))
def test_a_vat_number_of_each_country_of_the_union_is_known_with_its_prefix_and_without(
    country: str,
) -> None:
    found = read(country=country, value=UNION[country])
    assert (found.type, found.country) == ("eu_vat", country)
    assert found.value[:2] == ("EL" if country == "GR" else country)
    assert read(type="eu_vat", value=found.value) == found
    assert read(country=country, value=found.value[2:]) == found


def test_northern_ireland_is_of_the_union_for_goods() -> None:
    found = read(type="eu_vat", value="XI 980 7806 84")
    assert (found.country, found.value) == ("GB", "XI980780684")


def test_a_country_alone_says_which_types_its_numbers_may_be_of() -> None:
    assert read(country="us", value="12-3456789").type == "us_ein"
    assert read(country="BR", value="390.533.447-05").type == "br_cpf"
    assert read(country="BR", value="16.727.230/0001-97").type == "br_cnpj"
    assert read(country="ES", value="J99216582").type == "eu_vat"
    _, _, message = refusal(country="CH", value="1")
    assert "ch_uid or ch_vat" in message


def test_what_is_said_of_a_number_must_agree() -> None:
    param = "tax_ids[0].country"
    assert refusal(type="us_ein", country="DE", value="12-3456789")[:2] == (
        "parameter_invalid",
        param,
    )
    assert refusal(type="eu_vat", country="US", value="DE136695976")[1] == param
    assert refusal(type="eu_vat", country="FR", value="DE136695976")[1] == "tax_ids[0].value"
    assert refusal(country="XX", value="1")[1] == param
    assert refusal(country="AQ", value="1")[1] == param
    assert refusal(value="1")[:2] == ("parameter_missing", "tax_ids[0].type")


@pytest.mark.parametrize("value", ["\uff11\uff12-3456789", "12-345678\u0669", "12\u20103456789"])
def test_digits_of_other_scripts_are_no_digits(value: str) -> None:
    assert refusal(type="us_ein", value=value)[0] == "parameter_invalid"


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        *(("by_tin", "2\n0988542"), ("cl_tin", "1251909\n3"), ("es_cif", "J992165\n3")),
        *(("sg_uen", "0019200\nM"), ("us_ein", "12-3456789\n"), ("us_ein", "12-\t3456789")),
    ],
)
def test_a_number_stands_in_one_line(type_: TaxIdType, value: str) -> None:
    assert taken(type_, value) is None


@given(st.sampled_from(TYPES), st.text(st.characters(codec="ascii"), min_size=1, max_size=64))
def test_whatever_is_written_is_refused_or_kept_as_it_would_be_kept_again(
    type_: TaxIdType, value: str
) -> None:
    found = taken(type_, value)
    assert found is None or taken(type_, found.value) == found
