"""A process that sends one parcel, and dies where it is told to: `actor URL KEY RECIPIENT`."""

from __future__ import annotations

import asyncio
import sys

from commerce.store.database import Database
from tests.engine.world import World
from tests.outside.parcel import Branch, outside
from tests.outside.scene import Scene


async def main(url: str, key: str, recipient: str) -> None:
    """Send it, and say what was answered."""
    store = Database(url, pool_size=1)
    async with World(store).running() as world:
        answer = await Scene(world, outside(Branch(url))).send(key, recipient)
        sys.stdout.write(f"{answer.status}\n{answer.body.decode()}\n")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
