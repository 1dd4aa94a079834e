"""A process that asks for one thing, and dies where it is told to: `cashier URL KEY ROUTE BODY`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from commerce.kernel.clock import FixedClock
from commerce.settings import Settings
from tests.stage import NOW, Stage, app_over


async def main(url: str, key: str, route: str, body: str) -> None:
    """Ask, under an idempotency key that says what was asked for."""
    clock = FixedClock(NOW * 1000)
    app = app_over(url, Settings(data_dir=Path("nowhere")), clock)
    async with app.running():
        reply = await Stage(app, url, clock).ask(
            route, key, body, Idempotency_Key=name(route, body)
        )
        sys.stdout.write(f"{reply.status}\n{reply.body.decode()}\n")


def name(route: str, body: str) -> str:
    """The idempotency key."""
    return f"{route}-{json.dumps(body)}"[:255]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
