"""The public `stateset-python` client, pointed at a server by its base URL.

Its orders work as they are. Others of its named resources (returns, warranties, …) do not exist
here; its resources are one class with a path, so that class is used on the collections there are.
"""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import ANY

import pytest
from stateset import Stateset
from stateset.errors import StatesetError
from stateset.resources import CollectionResource, GenericResource

from tests.process import Server


def client(server: Server, key: str | None = None) -> Stateset:
    given = key or server.sandbox["secret_key"]
    return Stateset(api_key=given, base_url=f"{server.url}/v1")


async def test_it_creates_lists_reads_and_deletes_keys(server: Server) -> None:
    async with client(server) as sdk:
        keys = GenericResource(sdk, "api_keys")
        made = await keys.create(
            {"type": "restricted", "name": "From the SDK", "scopes": ["stablecoin:read"]}
        )
        assert made["secret"].startswith("rk_test_")
        page = await keys.list(type="restricted", limit=1)
        assert page["data"] == [{**made, "secret": None}]
        assert await keys.get(made["id"]) == {**made, "secret": None}
        await keys.delete(made["id"])
        assert (await keys.get(made["id"]))["status"] == "revoked"


async def test_it_creates_lists_and_reads_money(server: Server) -> None:
    async with client(server) as sdk:
        wallet = server.sandbox["wallet"]
        issued = await GenericResource(sdk, "stablecoin/issuances").create(
            {"recipient": wallet, "amount": 100, "reference_id": "sdk"}
        )
        assert (issued["amount"], issued["status"]) == ("100.00", "confirmed")
        transfers: CollectionResource = GenericResource(sdk, "stablecoin/transfers")
        sample = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
        made = await transfers.create({"to": sample, "amount": "1.50"})
        # A block may hold it by the time it is read.
        made["transaction"]["block_height"] = ANY
        assert (await transfers.list())["data"][0] == made
        assert await transfers.get(made["id"]) == made
        balance = await sdk.request("GET", "stablecoin/balance")
        assert balance["balances"]["available"] == "98.49"


async def test_it_reads_what_is_refused(server: Server) -> None:
    async with client(server, "sk_test_nonsense") as sdk:
        with pytest.raises(StatesetError) as refused:
            await GenericResource(sdk, "events").list()
    error = refused.value
    assert error.status_code == 401
    assert error.raw_response["error"]["code"] == "api_key_invalid"


async def test_its_orders_work_as_they_are(server: Server) -> None:
    async with client(server) as sdk:
        wallet = server.sandbox["wallet"]
        await GenericResource(sdk, "stablecoin/issuances").create(
            {"recipient": wallet, "amount": 100, "reference_id": "sdk-orders"}
        )
        items = [{"name": "Linen shirt", "unit_price": 12.5, "quantity": 2}]
        made = await sdk.orders.create({"items": items, "number": "SDK-1"})
        assert (made["object"], made["status"], made["total"]) == ("order", "pending", "25.00")
        assert await sdk.orders.get(made["id"]) == made
        page = await sdk.orders.list(status="pending", number="SDK-1")
        assert page["data"] == [made]
        changed = await sdk.orders.update(made["id"], {"notes": "By the SDK"})
        assert (changed["notes"], changed["version"]) == ("By the SDK", 2)
        gone = await sdk.orders.cancel(made["id"], reason="Ordered twice")
        assert (gone["status"], gone["cancel_reason"]) == ("cancelled", "Ordered twice")
        paid = await sdk.orders.create({"items": items, "payment": {}})
        assert paid["status"] == "paid"
        sent = await sdk.orders.mark_as_shipped(
            paid["id"],
            tracking_number="1Z999AA10123456784",
            carrier="ups",
            shipped_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
        )
        assert (sent["status"], sent["shipped_at"]) == ("shipped", 1_795_168_800)
        parcel = await GenericResource(sdk, "fulfillments").get(sent["fulfillments"][0])
        assert (parcel["carrier"], parcel["shipped_at"]) == ("ups", 1_795_168_800)
