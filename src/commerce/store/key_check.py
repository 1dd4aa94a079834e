"""Which master key a database was made with, by a fingerprint that tells nothing of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg


async def is_claimed(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Whether the database has met its master key."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM master_key)"))


async def claim(connection: asyncpg.Connection[asyncpg.Record], fingerprint: bytes) -> bool:
    """Whether this is the database's master key; the first one it meets is.

    Processes that start together meet it one after another: one of them makes the row.
    """
    await connection.execute(
        "INSERT INTO master_key (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING", fingerprint
    )
    return bool(await connection.fetchval("SELECT fingerprint = $1 FROM master_key", fingerprint))
