"""Upgrades: what an older database holds is carried over by the migrations that follow."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from commerce.store.migrate import migrate

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

MIGRATIONS = Path(str(files("commerce") / "migrations"))
ACCOUNT = """
    INSERT INTO account (account, livemode, id, version, created, metadata, plan, verification,
        capabilities, wallet, parent)
    SELECT $1, mode, $1, 1, 1, '{}', 'free', 'basic', '[]', 'w', $2
    FROM unnest(ARRAY[false, true]) mode"""
DEPOSIT = """
    INSERT INTO stablecoin_reserve_deposit (account, livemode, id, version, created, metadata,
        amount, currency, type, bank_reference, status, verified_at)
    VALUES ($1, $2, $3, 1, 1, '{}', 1, 'ssusd', 'ach', $4, $5, $6)"""
KEY = """
    INSERT INTO api_key (account, livemode, id, version, created, metadata, type, scopes, redacted,
        status, expires_at, hash)
    VALUES ('a', true, $1, 1, 7, '{}', 'secret', '[]', 'r', $2, $3, $4)"""


def until(folder: Path, last: int) -> Path:
    """A folder of the migrations up to one of them."""
    for file in MIGRATIONS.glob("*.sql"):
        if int(file.name[:4]) <= last:
            shutil.copy(file, folder)
    return folder


async def test_lines_payments_and_ends_of_keys_are_known_after_the_eighth(
    database_url: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database_url)
    await migrate(connection, until(tmp_path, 7))
    for id_, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", None)):
        await connection.execute(ACCOUNT, id_, parent)
    for number, (account, live, reference, status) in enumerate(
        [
            ("a", True, "FT 1", "verified"),
            ("d", True, "ft1", "verified"),
            ("a", False, "FT 1", "verified"),
            ("d", False, "FT 1", "verified"),
            ("a", False, " ", "verified"),
            ("a", False, None, "verified"),
            ("a", False, "FT 2", "pending"),
        ]
    ):
        at = None if status == "pending" else 10 - number
        values = (account, live, f"dep_{number}", reference, status, at)
        await connection.execute(DEPOSIT, *values)
    for id_, status, expires_at in (
        ("k", "active", 99),
        ("l", "revoked", 99),
        ("m", "active", None),
    ):
        await connection.execute(KEY, id_, status, expires_at, id_.encode())

    await migrate(connection)

    found = await connection.fetch("SELECT id, livemode, root FROM account ORDER BY id, livemode")
    assert [tuple(row) for row in found] == [
        (id_, mode, root)
        for id_, root in (("a", None), ("b", "a"), ("c", "a"), ("d", None))
        for mode in (False, True)
    ]
    query = "SELECT * FROM stablecoin_bank_payment ORDER BY account"
    assert [tuple(row) for row in await connection.fetch(query)] == [
        ("a", False, "ft1", "dep_2"),
        ("d", False, "ft1", "dep_3"),
        ("network", True, "ft1", "dep_1"),
    ]
    query = "SELECT task, subject, params, due_at, attempts, problem FROM job"
    assert [tuple(row) for row in await connection.fetch(query)] == [
        ("api_key.expire", "k:99", '{"id":"k"}', 99, 0, None)
    ]
    await connection.close()
