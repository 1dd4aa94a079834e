"""The public `stateset-python` client, pointed at a server by its base URL.

Its named resources (orders, returns, inventory, …) do not exist here yet. Its resources are one
class with a path, though, so the same class is used on the collections there are.
"""

from __future__ import annotations

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
