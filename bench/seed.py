"""Fills a fresh server with funded wallets for the load generator."""

from pathlib import Path


async def seed(data_dir: Path, database_url: str, wallets: int) -> Path:
    """Create `wallets` funded test-mode wallets and return the path of the loader's JSON file.

    Called once, while `commerce serve` runs on `data_dir` with its database at `database_url`.
    The file lies in `data_dir`, is readable by its owner only, and holds
    `{"wallets": [{"secret_key": "sk_test_…", "wallet": "stateset1…"}, …]}`, where each key may send
    from its wallet. Each wallet must hold enough to be the only sender of a whole run: a transfer
    takes 0.02 ssUSD (amount and fee), a run a few hundred thousand of them. Its account is on a
    plan whose rate limit a run cannot reach, at verification level premium.
    """
    raise RuntimeError("seeding is written with the accounts area")
