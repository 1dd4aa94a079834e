"""The disk is full: requests are told to try again, and once there is room it goes on by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from commerce.settings import Settings
from commerce.store.embedded import running_url
from tests.client import Client
from tests.faults.fault import LONG
from tests.faults.load import Load, now
from tests.process import Serve, wait_until

MEBIBYTE = 1 << 20
DISK_MEBIBYTES = 320
FULL_SECONDS = 30 if LONG else 2
FILLS = 4 if LONG else 1


@pytest.fixture
def disk(data_dir: Path) -> Iterator[Path]:
    """A small disk of its own, which only root can make."""
    folder = data_dir.with_name("disk")
    folder.mkdir(mode=0o711)
    options = f"size={DISK_MEBIBYTES}m,mode=711"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.skip(f"a disk of limited size cannot be mounted here: {reason}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def fill(path: Path) -> None:
    """Take all the room there is on a disk."""
    with path.open("wb", buffering=0) as file:
        size = MEBIBYTE
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    assert shutil.disk_usage(path.parent).free < os.sysconf("SC_PAGE_SIZE")


def refused(load: Load, before: int) -> bool:
    """Whether more were told to try again than so many."""
    return load.statuses[503] > before


async def test_a_full_disk_loses_nothing_and_is_recovered_from_once_there_is_room(
    disk: Path, serve: Serve
) -> None:
    # The server's log is on the same disk: nor must that stop it.
    data_dir = disk / "data"
    server = await asyncio.to_thread(serve, data_dir)
    url = running_url(data_dir)
    assert url is not None
    load = await Load.prepared(server.url, Settings(data_dir=data_dir), url, now)

    async with asyncio.timeout(120 * FILLS + FULL_SECONDS), load.running():
        for _number in range(1, FILLS + 1):
            await load.progress()
            before = load.statuses[503]
            fill(disk / "filler")
            await asyncio.to_thread(wait_until, partial(refused, load, before))
            await asyncio.sleep(FULL_SECONDS)
            async with Client(server.url, root="") as pages:
                assert (await pages.ask("GET /healthz")).status == 200
            (disk / "filler").unlink()
            await load.progress()
        await load.progress()

    assert load.lost == 0
    await load.see(url, data_dir)
    assert await asyncio.to_thread(server.stop) == 0
