"""Blocks, proofs and balances of the past, as clients read them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from commerce import proofs
from commerce.areas.stablecoin.chain import proof as proving
from tests.stage import NOW, Party, Stage

TRANSFER = "POST /stablecoin/transfer"


@pytest.fixture
async def payer(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    return party


@pytest.fixture
async def payee(stage: Stage) -> Party:
    return await stage.open_account()


async def pay(stage: Stage, payer: Party, payee: Party, amount: str = "1.00") -> dict[str, Any]:
    """A transfer, sealed in a block of its own."""
    await stage.seal()
    made = await stage.done(TRANSFER, payer.key, to=payee.wallet, amount=amount)
    await stage.seal()
    return made


async def last(stage: Stage, party: Party) -> dict[str, Any]:
    """The last block."""
    page = await stage.get("/stablecoin/blocks?limit=1", party.key)
    block: dict[str, Any] = page["data"][0]
    return block


async def refusal(stage: Stage, route: str, party: Party) -> tuple[int, str, str | None]:
    reply = await stage.ask(route, party.key)
    return reply.status, reply.error["code"], reply.error["param"]


async def test_a_transfer_is_proved_to_whoever_knows_the_block(
    stage: Stage, payer: Party, payee: Party
) -> None:
    made = await pay(stage, payer, payee, "2.50")
    block = await last(stage, payee)
    for party in (payer, payee):
        path = f"/stablecoin/transactions/{made['transaction']['id']}/proof"
        proof = await stage.get(path, party.key)
        assert proof["block"] == block
        assert proof["tx_hash"] == made["transaction"]["tx_hash"]
        proved = proofs.verify(proof, block["hash"])
        assert (proved["id"], proved["source"]) == (made["transaction"]["id"], made["id"])
        assert (proved["amount"], proved["from"], proved["to"]) == (
            2_500_000,
            payer.wallet,
            payee.wallet,
        )


async def test_each_of_many_transactions_of_a_block_is_proved(
    stage: Stage, payer: Party, payee: Party
) -> None:
    await stage.seal()
    rows = [{"to": payee.wallet, "amount": "0.01"} for _ in range(7)]
    batch = await stage.done(TRANSFER, payer.key, transfers=rows)
    await stage.seal()
    block = await last(stage, payer)
    assert block["transaction_count"] == 7
    found = set()
    for transfer in batch["transfers"]:
        path = f"/stablecoin/transactions/{transfer['transaction']['id']}/proof"
        proof = await stage.get(path, payer.key)
        assert proofs.verify(proof, block["hash"])["id"] == transfer["transaction"]["id"]
        found.add(proof["index"])
    assert found == set(range(7))


async def test_a_proof_waits_for_its_block_and_says_when_it_does_not_come(
    stage: Stage, payer: Party, payee: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(proving, "LOOK_SECONDS", 0.01)
    await stage.seal()
    made = await stage.done(TRANSFER, payer.key, to=payee.wallet, amount="1.00")
    path = f"/stablecoin/transactions/{made['transaction']['id']}/proof"
    reply = await stage.ask(f"GET {path}", payer.key)
    assert (reply.status, reply.error["code"]) == (503, "unavailable")
    assert reply.headers["retry-after"] == "1"
    await stage.seal()
    assert (await stage.get(path, payer.key))["index"] == 0


async def test_the_proof_of_a_strangers_transaction_is_missing(
    stage: Stage, payer: Party, payee: Party
) -> None:
    made = await pay(stage, payer, payee)
    stranger = await stage.open_account()
    route = f"GET /stablecoin/transactions/{made['transaction']['id']}/proof"
    assert await refusal(stage, route, stranger) == (404, "resource_missing", "id")


async def test_what_is_sealed_says_in_which_block(stage: Stage, payer: Party, payee: Party) -> None:
    made = await pay(stage, payer, payee)
    assert made["transaction"]["block_height"] is None, "it was not sealed yet"
    height = (await last(stage, payer))["height"]
    transaction = made["transaction"]["id"]
    for party in (payer, payee):
        one = await stage.get(f"/stablecoin/transactions/{transaction}", party.key)
        page = await stage.get("/stablecoin/transactions?limit=1", party.key)
        assert one == page["data"][0]
        assert one["block_height"] == height
    transfer = await stage.get(f"/stablecoin/transfers/{made['id']}", payer.key)
    expanded = await stage.get(
        f"/stablecoin/transfers/{made['id']}?expand[]=transaction", payer.key
    )
    (listed, *_) = (await stage.get("/stablecoin/transfers", payer.key))["data"]
    for one in (transfer, expanded, listed):
        assert one["transaction"]["block_height"] == height
    await stage.done(TRANSFER, payer.key, to=payee.wallet, amount="1.00")
    rows = (await stage.get("/stablecoin/transactions?limit=2", payer.key))["data"]
    assert [row["block_height"] for row in rows] == [None, height]
    assert (await stage.get("/stablecoin/reserves", payer.key))["block_height"] == height


async def test_blocks_are_listed_newest_first_and_paged_both_ways(
    stage: Stage, payer: Party, payee: Party
) -> None:
    for _ in range(5):
        await pay(stage, payer, payee, "0.01")
    top = (await last(stage, payer))["height"]
    page = await stage.get("/stablecoin/blocks?limit=2", payer.key)
    assert [block["height"] for block in page["data"]] == [top, top - 1]
    assert page["has_more"]
    assert page["data"][0]["previous_hash"] == page["data"][1]["hash"]
    below = await stage.get(f"/stablecoin/blocks?limit=2&starting_after={top - 1}", payer.key)
    assert [block["height"] for block in below["data"]] == [top - 2, top - 3]
    above = await stage.get(f"/stablecoin/blocks?limit=2&ending_before={top - 3}", payer.key)
    assert above["data"] == [page["data"][1], below["data"][0]]
    assert above["has_more"]
    newest = await stage.get(f"/stablecoin/blocks?ending_before={top - 1}", payer.key)
    assert (newest["data"], newest["has_more"]) == (page["data"][:1], False)
    first = await stage.get("/stablecoin/blocks/1", payer.key)
    assert first["previous_hash"] == "00" * 32
    oldest = await stage.get("/stablecoin/blocks?starting_after=2", payer.key)
    assert (oldest["data"], oldest["has_more"]) == ([first], False)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=0", "parameter_invalid", "limit"),
        ("limit=101", "parameter_invalid", "limit"),
        ("starting_after=0", "parameter_invalid", "starting_after"),
        ("starting_after=x", "parameter_invalid", "starting_after"),
        ("ending_before=99999999999999999999", "parameter_invalid", "ending_before"),
        ("starting_after=1&ending_before=2", "cursor_invalid", "ending_before"),
        ("created=1", "parameter_unknown", "created"),
    ],
)
async def test_a_list_of_blocks_refuses_what_it_does_not_know(
    stage: Stage, payee: Party, query: str, code: str, param: str
) -> None:
    found = await refusal(stage, f"GET /stablecoin/blocks?{query}", payee)
    assert found == (400, code, param)


@pytest.mark.parametrize(
    ("height", "expected"),
    [
        ("999999", (404, "resource_missing", "height")),
        ("0", (400, "parameter_invalid", "height")),
        ("-1", (400, "parameter_invalid", "height")),
        ("one", (400, "parameter_invalid", "height")),
    ],
)
async def test_a_block_that_is_not_there_is_missing(
    stage: Stage, payee: Party, height: str, expected: tuple[int, str, str]
) -> None:
    assert await refusal(stage, f"GET /stablecoin/blocks/{height}", payee) == expected


async def test_each_mode_has_a_chain_of_its_own(stage: Stage, payer: Party) -> None:
    await stage.seal()
    live = await stage.in_mode(payer.id, livemode=True)
    before = await stage.get("/stablecoin/blocks", live.key)
    await stage.fund(live.wallet, "100.00", livemode=True)
    await stage.seal()
    after = await stage.get("/stablecoin/blocks?limit=1", live.key)
    assert after["data"][0]["livemode"] is True
    assert len(before["data"]) == after["data"][0]["height"] - 1


async def test_a_balance_of_the_past_is_what_the_proved_transactions_sum_to(
    stage: Stage, payer: Party, payee: Party
) -> None:
    heights, balances = [], []
    for amount in ("1.00", "2.00", "0.000001", "3.50"):
        await pay(stage, payer, payee, amount)
        heights.append((await last(stage, payer))["height"])
        balances.append(await stage.get("/stablecoin/balance", payer.key))
    code = f"wallet:{payer.wallet}:available"
    page = await stage.get("/stablecoin/transactions?limit=100", payer.key)
    paths = [f"/stablecoin/transactions/{row['id']}/proof" for row in page["data"]]
    every_proof = [await stage.get(path, payer.key) for path in paths]
    for height, then in zip(heights, balances, strict=True):
        balance = await stage.get(f"/stablecoin/balance?block_height={height}", payer.key)
        assert balance["balances"] == then["balances"]
        assert balance["transaction_count"] == then["transaction_count"]
        assert balance["last_transaction"] == then["last_transaction"]
        assert balance["first_transaction"] == then["first_transaction"]
        assert (balance["block_height"], balance["as_of"]) == (height, NOW)
        proved = [each for each in every_proof if each["block"]["height"] <= height]
        total = sum(change(each, code) for each in proved)
        assert total == Decimal(balance["balances"]["available"]) * 10**6


def change(proof: dict[str, Any], code: str) -> int:
    """What a proved transaction did to an account."""
    postings = proofs.verify(proof, proof["block"]["hash"])["postings"]
    credited = sum(each["amount"] for each in postings if each["credit"]["code"] == code)
    debited = sum(each["amount"] for each in postings if each["debit"]["code"] == code)
    return int(credited - debited)


async def test_a_balance_at_a_time_is_that_after_the_last_block_by_then(
    stage: Stage, payer: Party, payee: Party
) -> None:
    began = stage.clock.now_ms() // 1000
    seen = {}
    for amount in ("1.00", "2.00", "3.00"):
        stage.clock.advance(10)
        await pay(stage, payer, payee, amount)
        now = stage.clock.now_ms() // 1000
        seen[now] = (await stage.get("/stablecoin/balance", payer.key))["balances"]
    for at, balances in seen.items():
        for later in (0, 9):
            if at + later <= stage.clock.now_ms() // 1000:
                path = f"/stablecoin/balance/{payer.wallet}?at={at + later}"
                found = await stage.get(path, payer.key)
                assert (found["balances"], found["as_of"]) == (balances, at)
    before = await stage.get(f"/stablecoin/balance?at={began - 86_400}", payer.key)
    assert (before["balances"]["total"], before["block_height"]) == ("0.00", 0)
    stage.clock.advance(began - stage.clock.now_ms() // 1000)


async def test_before_the_first_block_there_was_nothing(stage: Stage, payer: Party) -> None:
    await stage.seal()
    balance = await stage.get("/stablecoin/balance?block_height=0", payer.key)
    assert (balance["balances"]["total"], balance["transaction_count"]) == ("0.00", 0)
    assert (balance["first_transaction"], balance["last_transaction"]) == (None, None)


async def test_what_is_set_aside_is_told_of_the_past_too(
    stage: Stage, payer: Party, payee: Party
) -> None:
    await stage.seal()
    body = {"to": payee.wallet, "amount": "5.00", "scheduled_at": NOW + 3_600}
    made = await stage.done(TRANSFER, payer.key, **body)
    await stage.seal()
    height = (await last(stage, payer))["height"]
    await stage.done(f"POST /stablecoin/transfers/{made['id']}/cancel", payer.key)
    await stage.seal()
    path = "/stablecoin/balance?block_height="
    then = (await stage.get(f"{path}{height}", payer.key))["balances"]
    assert (then["locked"], then["available"], then["total"]) == ("5.01", "94.99", "100.00")
    after = (await stage.get(f"{path}{height + 1}", payer.key))["balances"]
    assert (after["locked"], after["available"]) == ("0.00", "100.00")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("block_height=999999", "block_height"),
        ("block_height=-1", "block_height"),
        ("block_height=x", "block_height"),
        (f"at={NOW + 100_000}", "at"),
        ("at=soon", "at"),
        ("at=1&block_height=1", "block_height"),
    ],
)
async def test_a_past_that_never_was_is_refused(
    stage: Stage, payee: Party, query: str, param: str
) -> None:
    found = await refusal(stage, f"GET /stablecoin/balance?{query}", payee)
    assert found == (400, "parameter_invalid", param)


async def test_a_balance_deep_in_the_past_is_found_among_many_entries(
    stage: Stage, payer: Party, payee: Party
) -> None:
    await stage.seal()
    rows = [{"to": payee.wallet, "amount": "0.01"} for _ in range(100)]
    heights = []
    for _ in range(3):
        await stage.done(TRANSFER, payer.key, transfers=rows)
        await stage.seal()
        heights.append((await last(stage, payer))["height"])
    found = [
        await stage.get(f"/stablecoin/balance?block_height={height}", payee.key)
        for height in (heights[0] - 1, *heights)
    ]
    assert [each["transaction_count"] for each in found] == [0, 100, 200, 300]
    assert json.dumps([each["balances"]["total"] for each in found]) == (
        '["0.00", "1.00", "2.00", "3.00"]'
    )
