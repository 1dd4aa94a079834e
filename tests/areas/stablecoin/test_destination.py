"""Destinations of redemptions: what each kind needs, and checksums that are checked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ladder import refused
from tests.stage import Party, Stage

ROUTE = "POST /stablecoin/redeem"
ABA = {"account_number": "12345678", "routing_number": "021000021"}
BIC = {"account_number": "12345678", "swift_code": "DEUTDEFF500"}
IBAN = {"iban": "DE89 3704 0044 0532 0130 00"}


@pytest.fixture(scope="module")
async def holder(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "1000.00")
    return party


def terms(stage: Stage, **destination: Any) -> dict[str, Any]:
    return {"amount": "1.00", "reference_id": stage.name(), "destination": destination}


@pytest.mark.parametrize(
    ("destination", "masked"),
    [
        ({"type": "ach", **ABA}, {"account_number": "****5678", "routing_number": "****0021"}),
        ({"type": "bank_wire", **ABA}, {"routing_number": "****0021"}),
        ({"type": "swift", **BIC}, {"swift_code": "DEUTDEFF500", "account_number": "****5678"}),
        ({"type": "swift", **BIC, "swift_code": "NEDSZAJJ"}, {"swift_code": "NEDSZAJJ"}),
        ({"type": "sepa", **IBAN}, {"iban": "****3000", "account_number": None}),
        ({"type": "ach", **ABA, "account_number": "1234"}, {"account_number": "****"}),
        ({"type": "ach", **ABA, "account_number": "12-345"}, {"account_number": "****2345"}),
        ({"type": "sepa", "iban": "GB29NWBK60161331926819"}, {"iban": "****6819"}),
    ],
)
async def test_a_destination_in_order_is_kept_masked(
    stage: Stage, holder: Party, destination: dict[str, Any], masked: dict[str, Any]
) -> None:
    redemption = await stage.done(ROUTE, holder.key, **terms(stage, **destination))
    kept = redemption["destination"]
    assert {name: kept[name] for name in masked} == masked


@pytest.mark.parametrize("type_", ["ach", "bank_wire", "swift", "sepa"])
async def test_each_kind_names_what_it_needs(stage: Stage, holder: Party, type_: str) -> None:
    needed = {"ach": [*ABA], "bank_wire": [*ABA], "swift": ["swift_code"], "sepa": [*IBAN]}[type_]
    whole = {**ABA, **BIC, **IBAN}
    for name in needed:
        rest = {each: value for each, value in whole.items() if each != name}
        says = f"'destination.{name}' is required for {type_}"
        body = terms(stage, type=type_, **rest)
        await refused(stage, ROUTE, holder.key, body, 400, "parameter_missing", says)


async def test_swift_takes_an_account_number_or_an_iban(stage: Stage, holder: Party) -> None:
    bic = {"type": "swift", "swift_code": "DEUTDEFF500"}
    await stage.done(ROUTE, holder.key, **terms(stage, **bic, **IBAN))
    says = "or 'destination.iban' is required for swift"
    body = terms(stage, **bic)
    await refused(stage, ROUTE, holder.key, body, 400, "parameter_missing", says)


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        ({"type": "ach", **ABA, "routing_number": "021000022"}, "routing_number"),
        ({"type": "ach", **ABA, "routing_number": "02100002"}, "routing_number"),
        ({"type": "ach", **ABA, "routing_number": "0210000210"}, "routing_number"),
        ({"type": "ach", **ABA, "routing_number": "٠٢١٠٠٠٠٢١"}, "routing_number"),
        ({"type": "bank_wire", **ABA, "routing_number": "abcdefghi"}, "routing_number"),
        ({"type": "swift", **BIC, "swift_code": "DEUTDEFF50"}, "swift_code"),
        ({"type": "swift", **BIC, "swift_code": "1234DEFF"}, "swift_code"),
        ({"type": "swift", **BIC, "swift_code": "DEUT1EFF"}, "swift_code"),
        ({"type": "sepa", "iban": "DE89370400440532013001"}, "iban"),
        ({"type": "sepa", "iban": "DE8937040044053201300"}, "iban"),
        ({"type": "sepa", "iban": "XX89370400440532013000"}, "iban"),
        ({"type": "ach", **ABA, "iban": "DE00"}, "iban"),
        ({"type": "ach", **ABA, "account_number": ""}, "account_number"),
        ({"type": "ach", **ABA, "account_number": "١٢٣٤٥٦٧٨"}, "account_number"),
        ({"type": "ach", **ABA, "account_number": "12345678\u200b"}, "account_number"),
        ({"type": "swift", **BIC, "account_number": "1234\n5678"}, "account_number"),
        ({"type": "bank_wire", **ABA, "account_number": " -- "}, "account_number"),
        ({"type": "ach", **ABA, "bank_name": "x" * 129}, "bank_name"),
    ],
)
async def test_a_number_with_a_wrong_check_is_refused_by_name(
    stage: Stage, holder: Party, destination: dict[str, Any], name: str
) -> None:
    before = await stage.dump()
    reply = await stage.ask(ROUTE, holder.key, terms(stage, **destination))
    found = (reply.status, reply.error["code"], reply.error["param"])
    assert found == (400, "parameter_invalid", f"destination.{name}")
    assert await stage.dump() == before
