"""`/metrics` of servers as users start them: over all processes, and of a worker alone."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.client import Client
from tests.process import Serve, commerce, environment, eventually, refused, wait_until
from tests.telemetry.reading import Shown, read

READ = {"operation": "GET /account", "status": "200"}


async def metrics(url: str) -> Shown:
    """Ask on a new connection, which is the next free process's."""
    async with Client(url, root="") as client:
        answer = await client.settle("GET /metrics")
        assert answer.status == 200
        return read(answer.body)


def counted(before: Shown, after: Shown) -> list[str]:
    """The counters, buckets and sums that went backwards."""
    growing = ("_total", "_bucket", "_count", "_sum")
    return [
        f"{name} {dict(labels)}"
        for (name, labels), value in before.values.items()
        if name.endswith(growing) and after.values.get((name, labels), -1) < value
    ]


async def test_whichever_process_is_asked_it_tells_of_all_and_nothing_ever_falls(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = await asyncio.to_thread(serve, data_dir, "--workers", "2", **settings)
    key = server.sandbox["secret_key"]

    async def started() -> float:
        return (await metrics(server.url)).value("commerce_process_starts_total")

    async def both_started() -> bool:
        return await started() == 2

    async def another_started() -> bool:
        return await started() == 3

    await eventually(both_started)
    last = await metrics(server.url)
    sent = 0
    for turn in range(40):
        await asyncio.gather(
            *(Client.once(server.url, key, "GET /account") for _ in range(turn % 4 + 1))
        )
        sent += turn % 4 + 1
        found = await metrics(server.url)
        assert counted(last, found) == []
        assert found.value("commerce_http_requests_total", **READ) == sent
        last = found

    os.kill(server.workers[0], signal.SIGKILL)
    await asyncio.to_thread(wait_until, lambda: len(server.workers) == 3)
    found = await metrics(server.url)
    assert counted(last, found) == []
    assert found.value("commerce_http_requests_total", **READ) == sent

    await eventually(another_started)
    assert counted(found, await metrics(server.url)) == []
    assert await asyncio.to_thread(server.stop) == 0
    stopped = {line["pid"] for line in server.lines if line["event"] == "stopped"}
    assert stopped == set(server.workers[1:])


async def test_a_verify_beside_the_server_is_shown(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    assert "commerce_verify_last_ok" in (await metrics(server.url)).kinds
    ran = await asyncio.to_thread(commerce, "verify", "--json", "--data-dir", data_dir, **settings)
    found = await metrics(server.url)
    assert found.value("commerce_verify_last_ok") == 1
    assert found.value("commerce_verify_last_entries") == ran.json["entries"]
    assert found.value("commerce_build_info", **_labels(found)) == 1
    assert _labels(found)["version"] == "0.1.0"


def _labels(found: Shown) -> dict[str, str]:
    (labels,) = [dict(labels) for name, labels in found.values if name == "commerce_build_info"]
    return labels


async def test_a_worker_serves_its_metrics_and_no_api(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    key = server.sandbox["secret_key"]
    worker = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "commerce", "worker", "--data-dir", str(data_dir)],
        env=environment({**settings, "COMMERCE_METRICS_PORT": "0"}),
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        assert worker.stdout is not None
        said = (await asyncio.wait_for(worker.stdout.readline(), 30)).decode()
        match = re.fullmatch(r"Jobs are being run; metrics: (http://\S+)/metrics\n", said)
        assert match is not None, said
        found = await metrics(match[1])
        assert found.value("commerce_process_starts_total") == 1
        assert found.value("commerce_source_up", source="jobs") == 1
        assert "commerce_jobs_total" in found.kinds
        async with Client(match[1], key, root="") as client:
            assert (await client.ask("GET /readyz")).json == {"status": "ready"}
            assert (await client.ask("GET /v1/account")).status == 404
            assert (await client.ask("GET /docs")).status == 404
        worker.terminate()
        await asyncio.wait_for(worker.wait(), 20)
    finally:
        if worker.returncode is None:
            worker.kill()
    assert worker.returncode == 0


def test_a_worker_whose_port_is_taken_says_so_in_one_line(
    data_dir: Path, database_url: str, serve: Serve
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    serve(data_dir, **settings)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = commerce("worker", "--data-dir", data_dir, COMMERCE_METRICS_PORT=port, **settings)
    assert f"cannot listen on 127.0.0.1:{port}" in refused(ran)


@pytest.mark.parametrize(
    "settings", [{"COMMERCE_METRICS_NETWORKS": "localhost"}, {"COMMERCE_METRICS_PORT": "70000"}]
)
def test_a_wrong_setting_is_refused(settings: dict[str, str], data_dir: Path) -> None:
    (name,) = settings
    assert name in refused(commerce("serve", "--data-dir", data_dir, **settings))
