"""Receipts: a page at an address that nobody guesses, without a key."""

from __future__ import annotations

import pytest

from tests.areas.payments.scene import REFUND, ask_for, funded, pay
from tests.stage import BASE_URL, Reply, Stage


async def page(stage: Stage, url: str, method: str = "GET") -> Reply:
    path = url.removeprefix(BASE_URL)
    return await stage.send(method, path.encode(), [(b"host", b"api.example.com")])


async def test_a_receipt_tells_what_was_paid_to_whom_and_what_was_given_back(stage: Stage) -> None:
    merchant = await funded(stage)
    made = await pay(stage, merchant, description="<b>Tea</b> & more")
    shown = await page(stage, made["receipt_url"])
    assert (shown.status, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    text = shown.body.decode()
    for said in ("100.00 ssUSD", merchant.wallet, made["id"], "23 November 2026", "Test mode"):
        assert said in text
    assert "&lt;b&gt;Tea&lt;/b&gt; &amp; more" in text
    assert "Given back" not in text
    await stage.done(REFUND, merchant.key, payment=made["id"], amount="12.50")
    text = (await page(stage, made["receipt_url"])).body.decode()
    assert "Given back" in text
    assert "12.50 ssUSD" in text
    assert (await page(stage, made["receipt_url"], "POST")).status == 405


async def test_the_log_holds_no_receipts_address(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = await funded(stage)
    made = await pay(stage, merchant)
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(stage.app.http, "_log_request", lambda **line: lines.append(line))
    assert (await page(stage, made["receipt_url"])).status == 200
    assert [line["path"] for line in lines] == [f"/receipts/{made['id']}-…"]


async def test_what_is_no_receipts_address_shows_nothing(stage: Stage) -> None:
    merchant = await funded(stage)
    made = await pay(stage, merchant)
    waiting = await ask_for(stage, merchant)
    url = made["receipt_url"]
    token = url.rpartition("/")[2]
    id_, account, keyed = token.split("-")
    last = "0" if keyed[-1] != "0" else "1"
    for wrong in (
        "",
        "x",
        id_,
        f"{id_}-{account}",
        f"{id_}-{account}-{keyed[:-1]}{last}",
        f"{id_}-{account}-{keyed.upper()}",
        f"{waiting['id']}-{account}-{keyed}",
        f"{id_}-{'0' * 26}-{keyed}",
        f"{token}/",
        f"{token}%0a",
    ):
        reply = await page(stage, f"{BASE_URL}/receipts/{wrong}")
        assert (reply.status, reply.error["code"]) == (404, "route_missing"), wrong
    assert waiting["receipt_url"] is None


@pytest.mark.parametrize("livemode", [False, True])
async def test_a_receipt_says_whether_real_money_moved(stage: Stage, *, livemode: bool) -> None:
    party = await stage.open_account(livemode=livemode)
    await stage.fund(party.wallet, "100.00", livemode=livemode)
    body = {"amount": "1.00", "currency": "ssusd"}
    made = await stage.done("POST /payments", party.key, **body)
    text = (await page(stage, made["receipt_url"])).body.decode()
    assert ("Test mode" in text) is not livemode
