"""Fills a fresh server with funded wallets for the load generator."""

import asyncio
import json
import os
from pathlib import Path

from commerce.app import App
from commerce.areas.identity import account, api_key
from commerce.areas.stablecoin import issuance
from commerce.installation import make_app
from commerce.kernel.currency import SSUSD
from commerce.resource.parameter import Dollars
from commerce.settings import Settings

FUNDS = "1000"
FUNDS_OF_THE_HOT_SENDER = "1000000"
AT_ONCE = 500


async def seed(data_dir: Path, database_url: str, wallets: int) -> Path:
    """Create `wallets` funded test-mode wallets and return the path of the loader's JSON file.

    Called once, while `commerce serve` runs on `data_dir` with its database at `database_url`.
    The file lies in `data_dir`, is readable by its owner only, and holds
    `{"wallets": [{"secret_key": "sk_test_…", "wallet": "stateset1…"}, …]}`, where each key may send
    from its wallet. The first wallet is the only sender of the hot scenario and holds more. Each
    account is on a plan whose rate limit a run cannot reach, at verification level premium.
    """
    app = make_app(Settings(data_dir=data_dir), database_url, "")
    issuer = json.loads((data_dir / "sandbox.json").read_text())["account"]
    made: list[dict[str, str]] = []
    async with app.running():
        for first in range(0, wallets, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, wallets))
            made += await asyncio.gather(*(_wallet(app, issuer, number) for number in numbers))
    path = data_dir / "wallets.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"wallets": made}, file)
    return path


async def _wallet(app: App, issuer: str, number: int) -> dict[str, str]:
    params = account.CreateAccount(name=f"Bench {number}", plan="enterprise")
    holder = await app.operate(account.create, params, account="", livemode=False)
    key = await app.operate(
        api_key.create, api_key.CreateApiKey(type="secret"), account=holder.id, livemode=False
    )
    funds = issuance.CreateIssuance(
        recipient=holder.wallet,
        amount=Dollars.parse(FUNDS if number else FUNDS_OF_THE_HOT_SENDER, SSUSD),
        reference_id=f"bench-{number}",
    )
    await app.operate(issuance.issue, funds, account=issuer, livemode=False)
    return {"secret_key": str(key.secret), "wallet": holder.wallet}
