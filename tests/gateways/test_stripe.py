"""Stripe, as its emulator speaks: cards are charged, kept, given back, and found again."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import stripe

from commerce.engine.outside.call import Heard
from commerce.gateways.cards.notebook import StoredNotebook
from commerce.gateways.cards.port import (
    Attach,
    Cancel,
    Capture,
    Charge,
    Confirm,
    Find,
    Gateway,
    Refund,
    ways,
)
from commerce.gateways.cards.sandbox import Sandbox
from commerce.gateways.cards.stripe_gateway import StripeGateway
from commerce.store.embedded import EmbeddedPostgres
from tests.engine.world import name
from tests.process import wait_until
from tests.stage import staged

# Stripe's library speaks to httpx as one does to requests.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
KEY = "sk_live_emulated"
NUMBERS = {
    "visa": "4242424242424242",
    "unkept": "4000000000000002",
    "declined": "4000000000000341",
    "authenticates": "4000002500003155",
}


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(
            f"{url}/v1/customers", headers={"Authorization": f"Bearer {KEY}"}
        ).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator, a program of its own."""
    port = _port()
    command = [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(port)]
    folder: Path = tmp_path_factory.mktemp("localstripe")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def gateway(url: str) -> AsyncIterator[StripeGateway]:
    gateway = StripeGateway.to(KEY, url=url)
    yield gateway
    await gateway.close()


def whose(key: str | None = None) -> dict[str, Any]:
    return {"account": "acct_1", "livemode": True, "key": key or name()}


async def source(url: str, card: str) -> str:
    """What a page of Stripe's own makes of a card, which our server never sees."""
    data = {
        "type": "card",
        "card[number]": NUMBERS[card],
        "card[exp_month]": "12",
        "card[exp_year]": "2034",
        "card[cvc]": "123",
    }
    async with httpx.AsyncClient() as client:
        made = await client.post(f"{url}/v1/payment_methods", data=data, auth=(KEY, ""))
    return str(made.json()["id"])


async def charge(url: str, card: str, key: str | None = None, **given: Any) -> Charge:
    terms: dict[str, Any] = {"amount": 1000, "currency": "usd", "source": await source(url, card)}
    return Charge(**(terms | whose(key) | given))


async def test_it_is_a_gateway(gateway: StripeGateway) -> None:
    whole: Gateway = gateway
    assert whole is gateway


async def test_a_card_is_charged_and_told_of(gateway: StripeGateway, url: str) -> None:
    said = await gateway.charge(await charge(url, "visa"))
    assert (said.status, said.amount, said.code) == ("succeeded", 1000, None)
    assert said.reference.startswith("pi_")
    assert said.card is not None
    assert (said.card.brand, said.card.last4, said.card.exp_year) == ("visa", "4242", 2034)
    assert said.card.fingerprint


async def test_a_decline_says_why(gateway: StripeGateway, url: str) -> None:
    said = await gateway.charge(await charge(url, "declined"))
    assert (said.status, said.amount, said.code) == ("declined", 0, "card_declined")


async def test_a_cardholder_who_has_to_show_up_is_waited_for(
    gateway: StripeGateway, url: str
) -> None:
    said = await gateway.charge(await charge(url, "authenticates"))
    assert said.status == "requires_action"
    going_on: dict[str, Any] = {"amount": 1000, "currency": "usd", "source": "pm", "capture": True}
    asked = Confirm(reference=said.reference, **going_on, **whose())
    assert (await gateway.confirm(asked)).status == "requires_action"
    released = await gateway.cancel(Cancel(reference=said.reference, **whose()))
    assert released.status == "canceled"


async def test_a_request_that_is_not_understood_has_done_nothing(gateway: StripeGateway) -> None:
    call = Charge(amount=1, currency="usd", source="pm_nobody", descriptor="SHOP", **whose())
    nothing: dict[str, Any] = {"reference": "pi_nothing", **whose()}
    for said in (
        await gateway.charge(call),
        await gateway.cancel(Cancel(**nothing)),
        await gateway.refund(Refund(amount=300, currency="usd", **nothing)),
    ):
        assert (said.status, said.code) == ("declined", "processing_error")


async def test_what_is_set_aside_is_captured_or_released(gateway: StripeGateway, url: str) -> None:
    first, second = [
        await gateway.charge(await charge(url, "visa", capture=False)) for _ in range(2)
    ]
    assert (first.status, first.amount) == ("requires_capture", 1000)
    taken = await gateway.capture(
        Capture(reference=first.reference, amount=400, currency="usd", **whose())
    )
    assert (taken.status, taken.amount) == ("succeeded", 400)
    assert (
        await gateway.cancel(Cancel(reference=second.reference, **whose()))
    ).status == "canceled"
    late = Capture(reference=first.reference, amount=400, currency="usd", **whose())
    assert (await gateway.capture(late)).status == "declined"


async def test_money_is_given_back(gateway: StripeGateway, url: str) -> None:
    taken = await gateway.charge(await charge(url, "visa"))
    call = Refund(reference=taken.reference, amount=300, currency="usd", **whose())
    back = await gateway.refund(call)
    assert (back.status, back.amount) == ("succeeded", 300)
    assert back.reference.startswith("re_")
    find = Find(
        asked="refund",
        since=0,
        reference=taken.reference,
        amount=300,
        currency="usd",
        **whose(call.key),
    )
    assert await gateway.find(find) == back
    unheard = msgspec.structs.replace(find, amount=200, key=name())
    made = await gateway.find(unheard)
    assert not isinstance(made, Heard)
    assert (made.status, made.amount) == ("succeeded", 200)
    assert made.reference != back.reference
    assert await gateway.find(unheard) == made


async def test_a_card_is_kept_and_charged_later(gateway: StripeGateway, url: str) -> None:
    call = Attach(source=await source(url, "visa"), **whose())
    kept = await gateway.attach(call)
    assert kept.status == "succeeded"
    assert kept.reference.startswith("cus_")
    assert kept.card is not None
    assert kept.card.last4 == "4242"
    find = Find(asked="attach", since=0, reference=call.source, **whose(call.key))
    assert await gateway.find(find) == kept, "it is not attached twice"
    said = await gateway.charge(
        Charge(amount=700, currency="usd", source=kept.reference, **whose())
    )
    assert (said.status, said.amount) == ("succeeded", 700)


async def test_a_card_that_cannot_be_kept_is_refused(gateway: StripeGateway, url: str) -> None:
    said = await gateway.attach(Attach(source=await source(url, "unkept"), **whose()))
    assert (said.status, said.code) == ("declined", "card_declined")
    kept = await gateway.attach(Attach(source=await source(url, "declined"), **whose()))
    assert kept.status == "succeeded"
    later = await gateway.charge(
        Charge(amount=700, currency="usd", source=kept.reference, **whose())
    )
    assert (later.status, later.code) == ("declined", "card_declined")


# What became of it?


def find(call: Charge, since: int | None = None) -> Find:
    moment = int(time.time()) if since is None else since
    terms: dict[str, Any] = {"amount": call.amount, "currency": call.currency}
    return Find(asked="charge", since=moment, **terms, **whose(call.key))


@pytest.mark.parametrize("card", ["visa", "declined", "authenticates"])
async def test_a_charge_is_found_by_our_key(gateway: StripeGateway, url: str, card: str) -> None:
    call = await charge(url, card)
    said = await gateway.charge(call)
    found = await gateway.find(find(call))
    assert not isinstance(found, Heard)
    assert (found.status, found.amount, found.code) == (said.status, said.amount, said.code)


async def test_a_charge_that_never_came_is_absent_and_stays_so(
    gateway: StripeGateway, url: str
) -> None:
    await gateway.charge(await charge(url, "visa"))
    call = await charge(url, "visa")
    later = int(time.time()) + 3600
    assert await gateway.find(find(call, since=later)) is Heard.ABSENT
    assert await gateway.find(find(call)) is Heard.ABSENT
    async with httpx.AsyncClient() as client:
        page = await client.get(f"{url}/v1/payment_intents?limit=100", auth=(KEY, ""))
    ours = [
        each for each in page.json()["data"] if each["metadata"].get("commerce_key") == call.key
    ]
    assert [each["status"] for each in ours] == ["canceled"], "its key is used up, and once"


async def test_a_capture_is_found_or_made_under_its_key(gateway: StripeGateway, url: str) -> None:
    first = await gateway.charge(await charge(url, "visa", capture=False))
    terms: dict[str, Any] = {"reference": first.reference, "amount": 1000, "currency": "usd"}
    asked = Find(asked="capture", since=0, **terms, **whose())
    made = await gateway.find(asked)
    assert not isinstance(made, Heard)
    assert (made.status, made.amount) == ("succeeded", 1000)
    again = await gateway.find(asked)
    assert not isinstance(again, Heard)
    assert again.status == "succeeded"


async def test_a_cancellation_is_found_or_made(gateway: StripeGateway, url: str) -> None:
    first = await gateway.charge(await charge(url, "visa", capture=False))
    asked = Find(asked="cancel", since=0, reference=first.reference, **whose())
    for _ in range(2):
        found = await gateway.find(asked)
        assert not isinstance(found, Heard)
        assert found.status == "canceled"


async def test_where_stripe_is_not_there_nothing_is_said() -> None:
    gateway = StripeGateway.to(KEY, url=f"http://127.0.0.1:{_port()}")
    call = Charge(amount=1, currency="usd", source="pm_1", **whose())
    with pytest.raises(stripe.APIConnectionError):
        await asyncio.wait_for(gateway.charge(call), 10)
    with pytest.raises(stripe.APIConnectionError):
        await asyncio.wait_for(gateway.find(find(call)), 10)
    await gateway.close()


async def test_a_key_that_opens_nothing_is_no_verdict(url: str) -> None:
    gateway = StripeGateway.to("nothing", url=url)
    with pytest.raises(stripe.AuthenticationError):
        await gateway.charge(Charge(amount=1, currency="usd", source="pm_1", **whose()))
    await gateway.close()


async def test_the_product_keeps_a_card_of_live_mode_by_stripe(
    gateway: StripeGateway, url: str, postgres: EmbeddedPostgres
) -> None:
    async with staged(postgres.url) as stage:
        outside = stage.app.engine.outside
        outside._ways = ways(Sandbox(StoredNotebook(stage.app.engine)), gateway)
        party = await stage.open_account(livemode=True)
        customer = await stage.done("POST /customers", party.key, name="Jenny")
        route = f"POST /customers/{customer['id']}/payment_methods"
        body = {"payment_method": await source(url, "visa")}
        kept = await stage.ask(route, party.key, body, Idempotency_Key="k")
        assert (kept.status, kept.json["status"]) == (201, "attached")
        assert (kept.json["card"]["brand"], kept.json["card"]["last4"]) == ("visa", "4242")
        assert (await stage.ask(route, party.key, body, Idempotency_Key="k")).body == kept.body
        body = {"payment_method": await source(url, "unkept")}
        refused = await stage.ask(route, party.key, body)
        assert (refused.status, refused.error["code"]) == (402, "card_declined")
