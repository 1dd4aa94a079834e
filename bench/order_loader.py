"""The load of orders: a process of its own that orders three items at a time, on one or on many."""

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import getrandbits
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench.loader import Load, LoadResult
from bench.shops import Shop

Mode = Literal["spread", "one_shop", "one_product"]
ITEMS = 3


def order_requests(shops: Sequence[Shop], mode: Mode, host: str) -> Callable[[], bytes]:
    """Return a function that gives the next request, from prepared heads and tails.

    `spread`: three products of any shop; `one_shop`: three of the first shop's; `one_product`:
    three lines of the first shop's first product.
    """
    chosen = shops if mode == "spread" else shops[:1]
    heads = [
        (
            f"POST /v1/orders/create HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {shop.secret_key}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: "
        ).encode()
        for shop in chosen
    ]
    tails = [_tails(shop, 1 if mode == "one_product" else len(shop.products)) for shop in chosen]

    def following() -> bytes:
        at = getrandbits(64) % len(chosen)
        tail = tails[at][getrandbits(64) % len(tails[at])]
        return b"%b%032x%b" % (heads[at], getrandbits(128), tail)

    return following


def _tails(shop: Shop, products: int) -> list[bytes]:
    """Return ends of requests, each of three items of the first so many products."""
    found = []
    for first in range(products):
        ids = [shop.products[(first + number) % products] for number in range(ITEMS)]
        body = msgspec.json.encode({"items": [{"product": id_, "quantity": 1} for id_ in ids]})
        found.append(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    return found


async def load_orders(arguments: argparse.Namespace) -> LoadResult:
    """Run the load that the command line describes."""
    shops = msgspec.json.decode(arguments.shops.read_bytes(), type=list[Shop])
    url = urlsplit(arguments.url)
    requests = order_requests(shops, arguments.mode, url.netloc)
    load = Load(requests, url.hostname or "127.0.0.1", url.port or 80)
    # The prepared bytes live to the end: a collection over them would only stall.
    gc.freeze()
    gc.disable()
    return await load.run(arguments.connections, arguments.warmup_seconds, arguments.seconds)


def main() -> None:
    """Run one load and print its result as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.order_loader", description=__doc__)
    parser.add_argument("shops", type=Path, help="JSON file of shops")
    parser.add_argument("--url", required=True, help="where the server is: http://host:port")
    parser.add_argument("--mode", choices=get_args(Mode), default="spread")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warmup-seconds", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    result = uvloop.run(load_orders(parser.parse_args()))
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")


if __name__ == "__main__":
    main()
