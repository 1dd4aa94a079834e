"""The load generator: a process of its own that sends transfers and records every latency.

It shares the machine with the server it measures, so it is built to cost little: a raw protocol
on uvloop, requests put together from prepared bytes, answers read no further than needed.
Each connection has one request in flight. Idempotency keys are random, as clients' keys are:
ordered ones would flatter the server's index.
"""

import argparse
import asyncio
import gc
import math
import sys
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import getrandbits
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

import msgspec
import uvloop

Mode = Literal["uniform", "hot", "received", "batch", "payroll"]
BATCHED = {"batch", "payroll"}

DRAIN_SECONDS_MAX = 10.0
RECONNECT_SECONDS = 0.1
SAMPLES_MAX = 3
SAMPLE_BYTES_MAX = 500
ROWS_A_BATCH = 500
BATCHES_PREPARED = 100
BATCH_SENDERS = 100
PAYROLLS = 16
"""Senders who each have payees of their own."""


class Wallet(msgspec.Struct, frozen=True):
    """A wallet and the key that may send from it."""

    secret_key: str
    wallet: str


class Wallets(msgspec.Struct, frozen=True):
    """The input file."""

    wallets: list[Wallet]


class LoadResult(msgspec.Struct, frozen=True):
    """What one load did; its JSON is the loader's one line of output.

    `count` is the transfers that were answered with 201 within `seconds`. The latencies also
    cover requests in flight when the time was up, so that no stall is lost. `errors` counts
    everything but a 201 from the first request on, warm-up included, by status or by what went
    wrong with the connection; `samples` keeps the first bodies of each. `cpu_seconds` is the
    loader's own, within `seconds`. `fairness` is what the connection that was served worst got
    done over what the one that was served best did.
    """

    count: int
    seconds: float
    throughput: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    errors: dict[str, int]
    samples: dict[str, list[str]]
    cpu_seconds: float
    fairness: float


def percentile(ordered: list[float], fraction: float) -> float:
    """Return the nearest-rank percentile of ascending values; 0 when there are none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def transfer_requests(wallets: list[Wallet], mode: Mode, host: str) -> Callable[[], bytes]:
    """Return a function that gives the next request, from prepared heads and tails.

    `uniform`: any wallet to any other; `hot`: the first wallet to any other; `received`: any
    other wallet to the first; `batch`: one of the first wallets to 500 of the others at once;
    `payroll`: the same to 500 whom nobody else pays.
    """
    heads = [
        (
            f"POST /v1/stablecoin/transfer HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {wallet.secret_key}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: "
        ).encode()
        for wallet in wallets
    ]
    bodies = [msgspec.json.encode({"to": each.wallet, "amount": "0.01"}) for each in wallets]
    tails = [b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies]
    size = len(wallets)
    others = size - 1

    def uniform() -> bytes:
        sender = getrandbits(64) % size
        recipient = (sender + 1 + getrandbits(64) % others) % size
        return b"%b%032x%b" % (heads[sender], getrandbits(128), tails[recipient])

    def hot() -> bytes:
        recipient = 1 + getrandbits(64) % others
        return b"%b%032x%b" % (heads[0], getrandbits(128), tails[recipient])

    def received() -> bytes:
        sender = 1 + getrandbits(64) % others
        return b"%b%032x%b" % (heads[sender], getrandbits(128), tails[0])

    batches = batch_tails(wallets, mode) if mode in BATCHED else []

    def batch() -> bytes:
        sender = getrandbits(64) % len(batches)
        tail = batches[sender][getrandbits(64) % len(batches[sender])]
        return b"%b%032x%b" % (heads[sender], getrandbits(128), tail)

    if mode in BATCHED:
        return batch
    return {"uniform": uniform, "hot": hot, "received": received}[mode]


def batch_tails(wallets: list[Wallet], mode: Mode) -> list[list[bytes]]:
    """Return ends of requests for each who sends batches: to all the others, or to their own."""
    senders = min(PAYROLLS if mode == "payroll" else BATCH_SENDERS, len(wallets) // 2)
    payees = wallets[senders:]
    if mode == "batch":
        return [prepared_tails(payees, BATCHES_PREPARED)] * senders
    return [
        prepared_tails(payees[sender::senders], BATCHES_PREPARED // senders)
        for sender in range(senders)
    ]


def prepared_tails(payees: list[Wallet], count: int) -> list[bytes]:
    """Return so many ends of requests, each to 500 picked from these."""
    tails = []
    for _ in range(count):
        picked = [payees[getrandbits(64) % len(payees)] for _ in range(ROWS_A_BATCH)]
        rows = [{"to": each.wallet, "amount": "0.01"} for each in picked]
        body = msgspec.json.encode({"transfers": rows})
        tails.append(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    return tails


class Load:
    """One timed load over a number of connections to one server."""

    def __init__(
        self, next_request: Callable[[], bytes], host: str, port: int, *, rows: int = 1
    ) -> None:
        """Prepare a load against `host` and `port`, of so many transfers a request."""
        self.rows = rows
        self.next_request = next_request
        self.host = host
        self.port = port
        self.latencies_seconds = array("d")
        self.errors: Counter[str] = Counter()
        self.samples: defaultdict[str, list[str]] = defaultdict(list)
        self.in_flight = 0
        self.stopping = False
        self.drained = asyncio.Event()
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, connections: int, warmup_seconds: float, seconds: float) -> LoadResult:
        """Send for `warmup_seconds` uncounted and `seconds` counted, drain, and sum up.

        Writes the line `measuring` to standard error when counting begins, for whoever samples
        the machine beside it.
        """
        for _ in range(connections):
            self.connect()
        await asyncio.sleep(warmup_seconds)
        del self.latencies_seconds[:]
        for each in self.connections:
            each.count = 0
        sys.stderr.write("measuring\n")
        sys.stderr.flush()
        began, cpu_began = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        count = len(self.latencies_seconds) * self.rows
        counts = [each.count for each in self.connections]
        elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        await self.drain()
        fairness = min(counts) / max(counts) if any(counts) else 0.0
        return self.result(count, elapsed, cpu, fairness)

    async def drain(self) -> None:
        """Stop sending and wait for what is in flight; what is never answered is an error."""
        self.stopping = True
        for task in self.tasks:
            task.cancel()
        if not self.in_flight:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self.drained.wait()
        except TimeoutError:
            self.errors["unanswered"] += self.in_flight

    def result(self, count: int, seconds: float, cpu_seconds: float, fairness: float) -> LoadResult:
        """Sum up, with percentiles taken from every single latency."""
        ordered_ms = sorted(latency * 1000 for latency in self.latencies_seconds)
        return LoadResult(
            count=count,
            seconds=round(seconds, 3),
            throughput=round(count / seconds, 1),
            p50_ms=round(percentile(ordered_ms, 0.5), 3),
            p99_ms=round(percentile(ordered_ms, 0.99), 3),
            p999_ms=round(percentile(ordered_ms, 0.999), 3),
            max_ms=round(percentile(ordered_ms, 1.0), 3),
            errors=dict(self.errors),
            samples=dict(self.samples),
            cpu_seconds=round(cpu_seconds, 3),
            fairness=round(fairness, 3),
        )

    def connect(self, delay_seconds: float = 0.0) -> None:
        """Open one more connection in the background, unless the load is stopping."""
        if self.stopping:
            return
        task = asyncio.ensure_future(self._connect(delay_seconds))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(partial(Connection, self), self.host, self.port)
        except OSError as error:
            self.failed("connect_failed", str(error).encode())
            self.connect(RECONNECT_SECONDS)

    def failed(self, kind: str, body: bytes) -> None:
        """Count an error and keep its body if it is among the first of its kind."""
        self.errors[kind] += 1
        if len(self.samples[kind]) < SAMPLES_MAX:
            self.samples[kind].append(body[:SAMPLE_BYTES_MAX].decode(errors="replace"))

    def landed(self) -> None:
        """Note that one request is no longer in flight."""
        self.in_flight -= 1
        if self.stopping and not self.in_flight:
            self.drained.set()


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight."""

    def __init__(self, load: Load) -> None:
        """Belong to `load`, which says what to send and keeps what came of it."""
        self.load = load
        self.received = b""
        self.waiting = False
        self.count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.load.connections.add(self)
        self.send()

    def send(self) -> None:
        """Send the next request, or close when the load is stopping."""
        load = self.load
        if load.stopping:
            self.transport.close()
            return
        load.in_flight += 1
        self.waiting = True
        request = load.next_request()
        # Before the write: the server may answer before it returns.
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take in an answer; when it is whole, record it and send the next request."""
        answer = self.received + data if self.received else data
        head_end = answer.find(b"\r\n\r\n")
        if head_end < 0:
            self.received = answer
            return
        length = content_length(answer[:head_end])
        if length is None:
            self.load.failed("malformed", answer)
            self.transport.abort()
            return
        if len(answer) < head_end + 4 + length:
            self.received = answer
            return
        self.received = b""
        self.answered(answer, head_end + 4)

    def answered(self, answer: bytes, body_begins: int) -> None:
        """Record a whole answer and go on."""
        load = self.load
        status = answer[9:12]
        if status == b"201":
            load.latencies_seconds.append(time.perf_counter() - self.sent_at)
            self.count += 1
        else:
            load.failed(status.decode(errors="replace"), answer[body_begins:])
        self.waiting = False
        load.landed()
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Open another connection in place of one that the server ended."""
        self.load.connections.discard(self)
        if self.waiting:
            self.load.failed("connection_lost", str(exc or "closed by the server").encode())
            self.load.landed()
        self.load.connect(RECONNECT_SECONDS)


def content_length(head: bytes) -> int | None:
    """Return the length that an answer's head declares, or None if it declares none."""
    lowered = head.lower()
    begins = lowered.find(b"\r\ncontent-length:")
    if begins < 0:
        return None
    ends = lowered.find(b"\r\n", begins + 17)
    value = lowered[begins + 17 : ends if ends > 0 else None].strip()
    return int(value) if value.isdigit() else None


async def load_transfers(arguments: argparse.Namespace) -> LoadResult:
    """Run the load that the command line describes."""
    wallets = msgspec.json.decode(arguments.wallets.read_bytes(), type=Wallets).wallets
    url = urlsplit(arguments.url)
    requests = transfer_requests(wallets, arguments.mode, url.netloc)
    rows = ROWS_A_BATCH if arguments.mode in BATCHED else 1
    load = Load(requests, url.hostname or "127.0.0.1", url.port or 80, rows=rows)
    # The wallets and prepared bytes live to the end: a collection over them would only stall.
    gc.freeze()
    gc.disable()
    return await load.run(arguments.connections, arguments.warmup_seconds, arguments.seconds)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.loader", description=__doc__)
    parser.add_argument("wallets", type=Path, help="JSON file of wallets and their keys")
    parser.add_argument("--url", required=True, help="where the server is: http://host:port")
    parser.add_argument("--mode", choices=get_args(Mode), default="uniform")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warmup-seconds", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    return parser.parse_args()


def main() -> None:
    """Run one load and print its result as one line of JSON."""
    result = uvloop.run(load_transfers(parse_arguments()))
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")


if __name__ == "__main__":
    main()
