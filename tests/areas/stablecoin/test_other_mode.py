"""Addresses of the other mode: nobody pays into a wallet that its owner cannot spend from."""

from __future__ import annotations

import pytest

from commerce.areas.identity.account import main_wallet
from commerce.kernel.address import new
from commerce.store.database import DatabaseSession
from tests.ladder import refused
from tests.stage import ISSUER, Party, Stage

TRANSFER = "POST /stablecoin/transfer"
CODE = "invalid_recipient"


@pytest.mark.parametrize("livemode", [True, False], ids=["live", "test"])
async def test_an_address_of_the_other_mode_is_refused_and_the_message_says_so(
    stage: Stage, *, livemode: bool
) -> None:
    party = await stage.open_account(livemode=livemode)
    await stage.fund(party.wallet, "100.00", livemode=livemode)
    friend = await stage.open_account()
    modes = ("test", "live") if livemode else ("live", "test")
    says = "is an address of {} mode, but a {} mode key was used".format(*modes)
    for owner in (party, friend):
        to = main_wallet(owner.id, not livemode)
        one = {"to": to, "amount": "1.00"}
        await refused(stage, TRANSFER, party.key, one, 400, CODE, f"'to' {says}")
        own = {"to": main_wallet(friend.id, livemode), "amount": "1.00"}
        body = {"transfers": [own, one]}
        await refused(stage, TRANSFER, party.key, body, 400, CODE, f"'transfers[1].to' {says}")
        later = {**one, "scheduled_at": "2100-01-01"}
        await refused(stage, TRANSFER, party.key, later, 400, CODE, f"'to' {says}")


async def test_nothing_is_minted_there_either(stage: Stage) -> None:
    issuer = await stage.open_account(capabilities=ISSUER)
    to = main_wallet(issuer.id, livemode=True)
    body = {"recipient": to, "amount": "100.00", "reference_id": stage.name()}
    await refused(stage, "POST /stablecoin/issue", issuer.key, body, 400, CODE, "of live mode")


async def test_an_external_wallet_is_paid_also_where_the_other_mode_has_blocked_it(
    stage: Stage,
) -> None:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    for number in range(2):
        external = new(f"an external wallet, number {number}".encode())
        if number:
            await stage.block(external, livemode=True)
        await stage.done(TRANSFER, party.key, to=external, amount="1.00")


async def test_a_wallet_known_here_is_not_looked_for_in_the_other_mode(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    party, friend = await _funded(stage), await stage.open_account()
    await stage.done(TRANSFER, party.key, to=friend.wallet, amount="1.00")
    keys: list[tuple[bool, str]] = []
    load = DatabaseSession.load

    async def watched(self: object, wanted: dict[object, dict[tuple[bool, str], bool]]) -> object:
        for index, found in wanted.items():
            keys.extend(found if str(index).startswith("Index(address") else ())
        return await load(self, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(DatabaseSession, "load", watched)
    await stage.done(TRANSFER, party.key, to=friend.wallet, amount="1.00")
    assert sorted(keys) == sorted([(False, party.wallet), (False, friend.wallet)])


async def _funded(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    return party
